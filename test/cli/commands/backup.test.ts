import assert from "node:assert/strict";
import { readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { entryOf, manifestOf, outputs } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const progress = { event: "progress", step: "upload", bytes: 5_000_000, elapsedMs: 1000 };

test("backup: the agent runs in the container on the host, and what it made is said", async (t) => {
  const outside = await Outside.open(t);
  const manifest = manifestOf("2026-11-24T03:15:02");
  const key = join(outside.folder, "id shop");
  await writeFile(key, "");
  const backup = { ...outputs, identityFiles: [key] };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  await outside.answer("backup", { out: [progress, { event: "backup", manifest }] });
  const result = await outside.run(["backup"]);
  assert.equal(result.stderr, "  uploading   5.0 MB   5.0 MB/s   1.0 s\n");
  assert.equal(
    result.stdout,
    "Backed up shop_production of 2026-11-24 03:15:02 UTC: 2 tables, 18,204,117 rows\n" +
      "  412 MB   37 MB/s   11 s   s3://shop-backups-4f2a/shop/production/shop_production_2026-11-24T03:15:02.dump.zst\n",
  );
  assert.equal(result.code, 0);
  const call = (await outside.calls("ssh")).find((one) => one.includes("backup")) ?? [];
  assert.deepEqual(call.slice(0, 2), ["-p", "2222"]);
  assert.equal(call[call.indexOf(`IdentityFile="${key}"`) - 1], "-o");
  assert.deepEqual(call.slice(call.indexOf("-T")), [
    "-T",
    "deploy@192.0.2.10",
    "--",
    ...["docker", "exec", "--interactive", "shop-db_backup"],
    ...["agent", "backup", "--attached", "--json"],
  ]);
  const left = await readdir(outside.folder);
  assert.deepEqual(
    left.filter((name) => name.startsWith("kamal-postgres-backup-")),
    [],
    "no known_hosts stays behind",
  );
});

test("backup: every way to fail has its sentence and exit code 1", async (t) => {
  const outside = await Outside.open(t);
  const final = { event: "backup", manifest: manifestOf("2026-11-24T03:15:02") };
  const rows = [
    {
      name: "the agent says why",
      answer: {
        out: [progress, { event: "error", message: "bucket shop is not there. Make it." }],
        code: 1,
      },
      sentence: /^error: bucket shop is not there\. Make it\.\n$/,
    },
    {
      name: "an error wins over a result",
      answer: { out: [final, { event: "error", message: "the manifest was refused" }], code: 0 },
      sentence: /^error: the manifest was refused\n$/,
    },
    {
      name: "a stream that was cut is no success",
      answer: { out: [progress], code: 0 },
      sentence: /ended without a result, so it did not succeed/,
    },
    {
      name: "half an event is no success",
      answer: { out: '{"event":"backup","mani', code: 0 },
      sentence: /ended without a result/,
    },
    {
      name: "a result with another exit code is no success",
      answer: { out: [final], err: "Killed", code: 137 },
      sentence: /failed with exit code 137: Killed/,
    },
    {
      name: "a result of another command is no success",
      answer: { out: [{ event: "list", backups: [] }], code: 0 },
      sentence: /ended without a result/,
    },
    {
      name: "an event that cannot be read",
      answer: { out: [{ event: "backup", manifest: {} }], code: 0 },
      sentence: /answered "backup" in a form that this version does not read/,
    },
    {
      name: "unreachable",
      answer: {
        err: "ssh: connect to host 192.0.2.10 port 2222: Connection timed out\n",
        code: 255,
      },
      sentence: /ssh deploy@192\.0\.2\.10:2222: the host cannot be reached/,
    },
    {
      name: "wrong host key",
      answer: { err: "Host key verification failed.\n", code: 255 },
      sentence: /host key of the server is not the expected one.*run pulumi up/,
    },
    {
      name: "wrong key",
      answer: { err: "deploy@192.0.2.10: Permission denied (publickey).\n", code: 255 },
      sentence:
        /refused the keys \(\/home\/ops\/\.ssh\/id shop, which does not exist here; .*The stack's state holds no key for shop-db_backup on 192\.0\.2\.10 either\.\n/,
    },
    {
      name: "connection lost midway",
      answer: { out: [progress], err: "client_loop: send disconnect: Broken pipe\n", code: 255 },
      sentence: /connection was lost .*may still be running/,
    },
    {
      name: "container missing",
      answer: { err: "Error: No such container: shop-db_backup\n", code: 1 },
      sentence:
        /there is no container shop-db_backup on 192\.0\.2\.10\. Run pulumi up --refresh to boot it/,
    },
    {
      name: "container stopped",
      answer: { err: "Error response from daemon: Container 1f is not running\n", code: 1 },
      sentence: /is not running\. Run pulumi up --refresh to start it/,
    },
  ];
  for (const { name, answer, sentence } of rows) {
    await outside.answer("backup", answer);
    const result = await outside.run(["backup"]);
    assert.equal(result.code, 1, name);
    const sentences = result.stderr.replace(/^ {2}uploading .*\n/, "");
    assert.match(sentences, /^error: .*\n$/, name);
    assert.match(sentences, sentence, name);
    assert.equal(result.stdout, "", name);
  }
});

test("--json prints one document, for a failure too", async (t) => {
  const outside = await Outside.open(t);
  const manifest = manifestOf("2026-11-24T03:15:02");
  await outside.answer("backup", { out: [progress, { event: "backup", manifest }] });
  const good = await outside.run(["backup", "--json"]);
  assert.deepEqual(JSON.parse(good.stdout), {
    database: "shop_production",
    host: "192.0.2.10",
    container: "shop-db_backup",
    manifest,
  });
  await outside.answer("backup", { out: [{ event: "error", message: "no" }], code: 1 });
  const bad = await outside.run(["--json", "backup"]);
  assert.deepEqual(JSON.parse(bad.stdout), { error: "no" });
  assert.equal(bad.code, 1);
});

test("backup: share and time left are estimated from the newest good one, where that is known", async (t) => {
  const outside = await Outside.open(t);
  const manifest = manifestOf("2026-11-24T03:15:02");
  const suspect = entryOf("2026-11-23T03:15:01", { suspect: true, bytes: 1 });
  const other = entryOf("2026-11-23T09:15:01", { database: "shop_production_queue", bytes: 2 });
  await outside.backups(suspect, other, entryOf("2026-11-22T03:15:01", { bytes: 20_000_000 }));
  // The list is there before the upload begins.
  const ssh = join(outside.folder, "ssh");
  await rename(ssh, `${ssh}.usual`);
  const script = `#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *"agent list"*) "$here/ssh.usual" "$@"; touch "$here/listed";;
  *)
    until [ -e "$here/listed" ]; do sleep 0.02; done
    for again in 1 2 3 4 5 6 7 8; do echo '${JSON.stringify(progress)}'; sleep 0.1; done
    exec "$here/ssh.usual" "$@";;
esac
`;
  await writeFile(ssh, script, { mode: 0o755 });
  await outside.answer("backup", { out: [progress, { event: "backup", manifest }] });
  outside.columns = 100;
  const { stderr, code } = await outside.run(["backup"]);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /uploading {3}5\.0 MB {3}about 25 % {3}5\.0 MB\/s {3}about 3 s left {3}\[#####-{15}\]\r/,
  );
});
