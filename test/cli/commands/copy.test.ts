import assert from "node:assert/strict";
import { test } from "node:test";
import {
  entryOf,
  hoursAgo,
  inspected,
  manifestOf,
  outputs,
  recorded,
} from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const copied = {
  ...outputs,
  copy: {
    location: { region: "fr-par", bucket: "shop-copies", prefix: "far", endpoint: "https://s3.x" },
    writerKeyId: "SCWCOPY",
    rpoHours: 30,
  },
};
const STAMP = "2026-11-24T03:15:02";

async function open(t: Parameters<typeof Outside.open>[0]): Promise<Outside> {
  const outside = await Outside.open(t);
  await outside.answer("outputs", { out: JSON.stringify({ backup: copied }) });
  return outside;
}

/** Words behind `agent` of each call of the agent. */
async function agentCalls(outside: Outside): Promise<string[]> {
  const calls = await outside.calls("ssh");
  return calls
    .filter((call) => call.includes("agent"))
    .map((call) => call.slice(call.indexOf("agent") + 1).join(" "));
}

test("--copy: list, verify and restore tell the agent, and judge by the copy's own rules", async (t) => {
  const outside = await open(t);
  await outside.backups(entryOf(hoursAgo(27)));
  const here = await outside.run(["list"]);
  assert.match(
    here.stdout,
    /s3:\/\/shop-backups-4f2a\/shop\/production +newest backup 27 h.*26 h: missed/,
  );
  assert.match(here.stdout, /kept until/);
  const there = await outside.run(["list", "--copy"]);
  assert.match(there.stdout, /s3:\/\/shop-copies\/far +newest backup 27 h old, RPO 30 h: ok\n/);
  assert.doesNotMatch(there.stdout, /kept until/, "its rules are not declared");
  const document = JSON.parse((await outside.run(["list", "--copy", "--json"])).stdout);
  assert.deepEqual([document.location, document.copy], ["s3://shop-copies/far", true]);

  const verified = { database: "shop_production", from: STAMP, key: "far/x", depth: "full" };
  const event = { event: "verified", ...verified, bytes: 1, tables: 2, unchecked: null };
  await outside.answer("verify", { out: [{ ...event, elapsedMs: 1 }] });
  assert.equal((await outside.run(["verify", "--copy"])).code, 0);
  const plan = { database: "shop_production", from: STAMP, key: "far/x", bytes: 1, previous: null };
  await outside.answer("restore", {
    out: [{ event: "planned", ...plan, tables: 2, rows: 1, roles: [] }],
  });
  assert.equal((await outside.run(["restore", "--copy", "--dry-run"])).code, 0);
  const calls = await agentCalls(outside);
  assert.equal(calls[0], "list --json");
  assert.equal(calls[1], "list --copy --json");
  assert.match(
    calls.find((call) => call.startsWith("verify")) ?? "",
    /^verify --attached \S+ --copy --json$/,
  );
  assert.match(calls.at(-1) ?? "", /^restore --attached \S+ --copy --dry-run --yes --json$/);
});

test("--copy: a backup without a copy says so, and asks nobody", async (t) => {
  const outside = await Outside.open(t);
  for (const command of ["list", "verify", "restore"]) {
    const { code, stderr } = await outside.run([
      command,
      "--copy",
      ...(command === "restore" ? ["--yes"] : []),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /--copy: the backup shop has no copy\. Leave --copy away, or declare one/);
  }
  assert.deepEqual(await outside.calls("ssh"), []);
});

test("backup: the copy is shown, also when the run has failed for one of the two", async (t) => {
  const outside = await open(t);
  const manifest = manifestOf(STAMP);
  const there = { ...manifest, object: { ...manifest.object, key: "far/shop.dump.zst" } };
  const events = [
    { event: "backup", manifest },
    { event: "copied", manifest: there },
  ];
  await outside.answer("backup", { out: events });
  const good = await outside.run(["backup"]);
  assert.match(
    good.stdout,
    /^Backed up .*\n.*s3:\/\/shop-backups-4f2a\/.*\nCopied .*\n.*s3:\/\/shop-copies\/far\//,
  );
  const document = JSON.parse((await outside.run(["backup", "--json"])).stdout);
  assert.deepEqual(document.copies, [there]);
  for (const [kept, shown] of [
    [0, /^Backed up/],
    [1, /^Copied/],
  ] as const) {
    const error = { event: "error", message: "one of the two failed." };
    await outside.answer("backup", { out: [events[kept], error], code: 1 });
    const failed = await outside.run(["backup"]);
    assert.equal(failed.code, 1);
    assert.match(failed.stdout, shown);
    assert.match(failed.stderr, /^error: one of the two failed\.\n$/);
  }
});

test("status: the copy by its own RPO", async (t) => {
  const outside = await open(t);
  await outside.answer("inspect", { out: inspected() });
  await outside.backups(entryOf(hoursAgo(27)));
  const { stdout } = await outside.run(["status"]);
  assert.match(stdout, /verdict {11}newest backup 27 h old, RPO 26 h: missed\n/);
  assert.match(
    stdout,
    /newest copy {5}.* UTC, 412 MB\n +verdict on copy {3}newest backup 27 h old, RPO 30 h: ok\n/,
  );
  const { copy } = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.equal(copy.location.bucket, "shop-copies");
  assert.equal(copy.databases[0].withinRpo, true);
});

test("status: copies that nobody lists are a failure, as a backup that nobody lists is", async (t) => {
  const outside = await open(t);
  await outside.answer("inspect", { out: inspected() });
  await outside.backups(entryOf(hoursAgo(1)));
  const message = "the copy's access key may not list.";
  await outside.answer("list-copy", { out: [{ event: "error", message }], code: 1 });
  const { stdout, stderr, code } = await outside.run(["status"]);
  assert.equal(code, 1);
  assert.match(stdout, /verdict +newest backup \d+ \S+ old, RPO 26 h: ok\n/);
  assert.match(stderr, /^error: the copy's access key may not list\. The bucket could not/m);
  const json = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.equal(json.withinRpo, true);
  assert.match(json.error, /^the copy's access key may not list/);
});

test("drift: a copy that is too old is a difference of its own", async (t) => {
  const outside = await open(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.backups(entryOf(hoursAgo(31.5)));
  const { stdout, code } = await outside.run(["drift"]);
  assert.equal(code, 7);
  assert.match(stdout, /^data +newest backup +RPO 26 h +31 h old/m);
  assert.match(stdout, /^data +newest copy +RPO 30 h +31 h old/m);
  await outside.backups(entryOf(hoursAgo(27)));
  assert.match((await outside.run(["drift"])).stdout, /1 difference\n$/);
});
