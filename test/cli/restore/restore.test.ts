import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { entryOf } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const progress = { event: "progress", step: "upload", bytes: 5_000_000, elapsedMs: 1000 };

test("restore refuses without a terminal and without --yes, before anything is asked of the host", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const { code, stderr } = await outside.run(["restore"]);
  assert.equal(code, 1);
  assert.match(stderr, /standard input is no terminal\. Run it in a terminal, or add --yes/);
  assert.deepEqual(await outside.calls("ssh"), []);
});

test("restore shows the plan and asks for the database's name; another answer changes nothing", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("restore", { out: [restored] });
  await outside.asks("restore", []);
  const plan =
    /^Restore shop_production on 192\.0\.2\.10 from .*\?\nThe current database is kept as/;
  const wrong = await outside.run(["restore"], {}, "shop\n");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, plan);
  assert.match(wrong.stderr, /error: "shop" is not "shop_production"; nothing was changed\.\n$/);
  const stopped = await outside.run(["restore"], {}, "\u0003");
  assert.equal(stopped.code, 130);
  assert.match(stopped.stderr, /error: interrupted; nothing was changed\.\n$/);
  assert.doesNotMatch(wrong.stderr + stopped.stderr, /✔/, "a wrong answer has no tick");
  const ended = await outside.run(["restore"], {}, "\u0004");
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /error: no name was typed; nothing was changed\.\n$/);
  assert.deepEqual(await outside.replies("restore"), ["no", "no", "no"]);

  const right = await outside.run(["restore", "--json"], {}, "shop_production\n");
  assert.equal(right.code, 0, right.stderr);
  assert.match(right.stderr, plan);
  assert.equal(JSON.parse(right.stdout).database, "shop_production");
  const into = await outside.run(["restore", "--into", "look"], {}, "shop_production\n");
  assert.match(into.stderr, /"shop_production" is not "look"; nothing was changed/);
});

const restored = {
  event: "restored",
  database: "shop_production",
  from: "2026-11-24T03:15:02",
  previous: "shop_production_before_20261124T102110",
  tables: 2,
  rows: 18_204_117,
  compared: true,
  undo: "undo shop_production_before_20261124T102110",
  elapsedMs: 36_400,
};

test("restore: what will be done, what was done, and the way back", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(
    entryOf("2026-11-24T09:00:00", { manifestKey: null, manifest: null }),
    entryOf("2026-11-24T03:15:02"),
  );
  const steps = ["download", "restore", "compare"];
  await outside.answer("restore", {
    out: [...steps.map((step) => ({ ...progress, step })), restored],
    err: "not carried over: ALTER DATABASE ...\n",
  });
  const { stdout, stderr, code } = await outside.run(["restore", "--yes"]);
  assert.deepEqual(stdout.split("\n"), [
    "Restore shop_production on 192.0.2.10 from 2026-11-24 03:15:02 UTC (412 MB, 18,204,117 rows)",
    "The current database is kept as shop_production_before_<time>.",
    "  read and checked   412 MB",
    "  restored           2 tables",
    "  compared           2 tables, 18,204,117 rows: equal to the snapshot",
    "  swapped            the previous database is kept as shop_production_before_20261124T102110",
    "Restored shop_production from 2026-11-24 03:15:02 UTC in 36 s.",
    "To swap back:",
    "  npx kamal-postgres-backup undo shop_production_before_20261124T102110",
    "",
  ]);
  assert.deepEqual(
    stderr.split("\n"),
    [
      "  reading   5.0 MB   5.0 MB/s   1.0 s",
      "  restoring   5.0 MB   5.0 MB/s   1.0 s",
      "  comparing   5.0 MB   5.0 MB/s   1.0 s",
      "not carried over: ALTER DATABASE ...",
      "",
    ],
    "without a terminal a line for each step, and the agent's notices",
  );
  assert.equal(code, 0);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(call.indexOf("agent")), [
    ...["agent", "restore", "--attached", "2026-11-24T03:15:02", "--ask", "--json"],
  ]);
});

test("restore: what the agent will not restore is shown before the question, within bounds, and at the end", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const losses = Array.from({ length: 40 }, (_, index) => `the replication slot "s${index}"`);
  await outside.asks("restore", losses);
  await outside.answer("restore", {
    out: [{ ...restored, notRestored: losses }],
    err: losses.map((item) => `Not restored: ${item}.\n`).join(""),
  });
  const asked = await outside.run(["restore", "--json"], {}, "shop_production\n");
  assert.equal(asked.code, 0, asked.stderr);
  const question = asked.stderr.slice(0, asked.stderr.indexOf("to continue:"));
  assert.match(question, /^Will not be restored: the replication slot "s0"$/m);
  assert.match(question, /^\.\.\. and 28 more: restore --dry-run lists all\.$/m);
  assert.equal(question.match(/Will not be restored/g)?.length, 12);
  assert.doesNotMatch(asked.stderr, /^Not restored/m, "the document has them");
  assert.deepEqual(JSON.parse(asked.stdout).notRestored, losses);
  const script = await outside.run(["restore", "--yes"]);
  assert.equal(script.code, 0, script.stderr);
  assert.ok(
    script.stdout.indexOf("Will not be restored: the") < script.stdout.indexOf("read and checked"),
  );
  assert.equal(script.stdout.match(/^Not restored: /gm)?.length, 40);
});

test("restore: what is found to be lost after the question is asked about, and never agreed to by --yes alone", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const late = ["ACL public.FUNCTION similarity(text, text): it is missing"];
  await outside.asks("restore", [], late);
  await outside.answer("restore", { out: [{ ...restored, notRestored: late }] });

  const agreed = await outside.run(["restore"], {}, "shop_production\n", "shop_production\n");
  assert.equal(agreed.code, 0, agreed.stderr);
  assert.match(
    agreed.stderr,
    /Put it in the place of the live one all the same\?\nWill not be restored: ACL public/,
  );
  for (const [answer, exit, sentence] of [
    ["no\n", 1, /error: "no" is not "shop_production"; "shop_production" was not touched\.\n$/],
    ["\u0003", 130, /error: interrupted; "shop_production" was not touched\.\n$/],
  ] as const) {
    const { code, stderr, stdout } = await outside.run(
      ["restore"],
      {},
      "shop_production\n",
      answer,
    );
    assert.equal(code, exit);
    assert.match(stderr, sentence);
    assert.equal(stdout, "");
  }
  const script = await outside.run(["restore", "--yes"]);
  assert.equal(script.code, 1);
  assert.match(script.stderr, /known when --yes agreed: ACL public.*beforehand with --allow-incom/);
  const word = await outside.run(["restore", "--yes", "--allow-incomplete"]);
  assert.equal(word.code, 0, word.stderr);
  assert.match(word.stdout, /^Not restored: ACL public/m);
  assert.deepEqual(await outside.replies("restore"), [
    ...["yes", "yes", "yes", "no", "yes", "no", "yes", "no", "yes", "yes"],
  ]);
});

test("restore: an agent of an earlier version, which asks nothing, begins only after the question", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("restore", { out: [restored] });
  const older = join(outside.folder, "older");
  await writeFile(older, "--ask");
  const wrong = await outside.run(["restore"], {}, "no\n");
  assert.match(wrong.stderr, /earlier version, which asks nothing\. Run pulumi up to replace it/);
  assert.match(wrong.stderr, /error: "no" is not "shop_production"; nothing was changed\.\n$/);
  const right = await outside.run(["restore"], {}, "shop_production\n");
  assert.equal(right.code, 0, right.stderr);
  const calls = (await outside.calls("ssh")).filter((call) => call.includes("restore"));
  assert.deepEqual(
    calls.map((call) => call.includes("--yes")),
    [false, false, true],
  );
});

test("restore: a partial backup is called so before the question, and never equal to the whole", async (t) => {
  const outside = await Outside.open(t);
  const entry = entryOf("2026-11-24T03:15:02");
  const dump = {
    options: ["--exclude-table=audits"],
    tablesLeftOut: [{ schema: "public", name: "audits" }],
    dataLeftOut: [],
    otherLeftOut: {},
    warnings: [],
  };
  await outside.backups({
    ...entry,
    manifest: entry.manifest ? { ...entry.manifest, dump } : null,
  });
  await outside.answer("restore", { out: [restored] });
  const { stdout } = await outside.run(["restore", "--yes"]);
  const lines = stdout.split("\n");
  assert.equal(lines[1], "This backup is partial: without the table public.audits.");
  assert.match(stdout, /rows: equal to what the backup holds of the snapshot$/m);
  assert.doesNotMatch(stdout, /equal to the snapshot/);
});

test("restore: what was not brought back stands beside Restored, and in the document", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const notRestored = ['the owner of the database: there is no role "app"', "subscription s"];
  await outside.answer("restore", { out: [{ ...restored, notRestored }] });
  const text = await outside.run(["restore", "--yes"]);
  assert.match(
    text.stdout,
    /^Restored shop_production .*\nNot restored: the owner of the database: there is no role "app"\nNot restored: subscription s\nTo swap back/m,
  );
  const { stdout } = await outside.run(["restore", "--yes", "--json"]);
  assert.deepEqual(JSON.parse(stdout).notRestored, notRestored);
});

test("restore: a time in two words, beside the live database, which leaves nothing to undo", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"), entryOf("2026-11-23T03:15:01"));
  await outside.answer("restore", {
    out: [{ ...restored, database: "my look", previous: null, undo: null }],
  });
  const args = ["restore", "2026-11-23", "03:15:01", "--into", "my look", "--yes", "--json"];
  const { stdout, code } = await outside.run(args);
  assert.equal(code, 0);
  const document = JSON.parse(stdout);
  assert.equal(document.database, "my look");
  assert.equal(document.undo, null);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(-7), [
    ...["restore", "--attached", "2026-11-23T03:15:01", "--into", "'my look'", "--ask", "--json"],
  ]);
});

test("restore: of the old image's object nothing is claimed to be compared", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(
    entryOf("2026-11-24T03:15:02", { kind: "legacy", manifestKey: null, manifest: null }),
  );
  await outside.answer("restore", { out: [{ ...restored, compared: false, tables: 0, rows: 0 }] });
  const { stdout } = await outside.run(["restore", "--yes"]);
  assert.match(stdout, /made by the old image: nothing to compare it with/);
  assert.match(stdout, /read and restored {3}412 MB; without a manifest there is nothing/);
  assert.doesNotMatch(stdout, /0 tables|equal|checked/);
});

test("restore: what cannot be restored is refused before the agent is asked", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const rows: [string[], RegExp][] = [
    [["restore", "2020-01-01T00:00:00", "--yes"], /no backup of shop_production from 2020-01-01/],
    [["restore", "--into", "", "--yes"], /--into has no name\. Give the new database one/],
    [["restore", "soon", "--yes"], /"soon" is no time of a backup/],
    [
      ["restore", "--into", "shop_production", "--yes"],
      /--into shop_production is the live database/,
    ],
  ];
  for (const [args, sentence] of rows) {
    const { code, stderr, stdout } = await outside.run(args);
    assert.equal(code, 1);
    assert.match(stderr, sentence);
    assert.equal(stdout, "");
  }
  assert.ok((await outside.calls("ssh")).every((call) => !call.includes("restore")));
});

test("restore: a cut stream never says Restored", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("restore", { out: [{ ...progress, step: "compare" }] });
  const { code, stdout, stderr } = await outside.run(["restore", "--yes"]);
  assert.equal(code, 1);
  assert.doesNotMatch(stdout, /Restored/);
  assert.match(stderr, /ended without a result/);
});

test("restore: an ssh that somebody kills has lost the connection, and what becomes of the run is said", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await rename(join(outside.folder, "ssh"), join(outside.folder, "ssh.alive"));
  const script = `#!/bin/sh
case "$*" in *"agent restore"*) kill -9 $$;; esac
exec "$(dirname "$0")/ssh.alive" "$@"
`;
  await writeFile(join(outside.folder, "ssh"), script, { mode: 0o755 });
  const { code, stderr } = await outside.run(["restore", "--yes"]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /the connection was lost \(ssh was stopped by SIGKILL\).* It stops by itself within about a/,
  );
});

test("restore: the newest not after a time, with a private key that is no argument", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"), entryOf("2026-11-23T03:15:01"));
  await outside.answer("restore", { out: [restored] });
  const key = encodeBech32("age-secret-key-", Buffer.alloc(32, 7)).toUpperCase();
  await writeFile(join(outside.folder, "key.txt"), `# created: today\n${key}\n`);
  const args = ["restore", "--not-after", "2026-11-24 02:00", "--identity", "key.txt", "--globals"];
  const { code, stderr, stdout } = await outside.run([...args, "--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /from 2026-11-23 03:15:01 UTC/);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(call.indexOf("docker")), [
    ...["docker", "exec", "--interactive", "shop-db_backup", "agent", "restore", "--attached"],
    ...["2026-11-23T03:15:01", "--globals", "--identity-stdin", "--ask", "--json"],
  ]);
  assert.equal(await outside.input("restore"), `${key}\n`);
  assert(!(stdout + stderr + call.join()).includes(key));
});

test("restore: a key or a time that is none is refused before the agent is asked", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await writeFile(join(outside.folder, "not.txt"), "hello\n");
  await writeFile(join(outside.folder, "broken.txt"), "AGE-SECRET-KEY-1BROKEN\n");
  const rows: [string[], RegExp][] = [
    [["--identity", "none.txt"], /--identity none\.txt cannot be read: there is no such file\./],
    [["--identity", "not.txt"], /holds no line that begins with AGE-SECRET-KEY-1/],
    [["--identity", "broken.txt"], /--identity broken\.txt: the age identity is not valid/],
    [["--not-after", "yesterday"], /--not-after yesterday is no time/],
    [["--not-after", "2020-01-01T00:00"], /is as old as 2020-01-01T00:00: the oldest is of 2026/],
  ];
  for (const [args, sentence] of rows) {
    const { code, stderr } = await outside.run(["restore", "--yes", ...args]);
    assert.equal(code, 1);
    assert.match(stderr, sentence);
  }
  assert.ok((await outside.calls("ssh")).every((call) => !call.includes("restore")));
});

test("restore --dry-run asks nothing and says what would be done", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const planned = {
    event: "planned",
    ...{ database: "shop_production", from: "2026-11-24T03:15:02", key: "k", bytes: 1 },
    ...{ previous: "shop_production_before_20261124T102110", tables: 2, rows: 3 },
    roles: ["reporter"],
  };
  await outside.answer("restore", { out: [planned] });
  const { code, stdout } = await outside.run(["restore", "--dry-run"]);
  assert.equal(code, 0);
  assert.match(stdout, /is kept as shop_production_before_<time>\.\n/);
  assert.doesNotMatch(stdout, /before_2026/, "a time that will not come true");
  assert.match(stdout, /Roles that would be made: reporter/);
  assert.match(stdout, /Dry run: every check has passed, and nothing was changed\./);
  assert.doesNotMatch(stdout, /Restored/);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert(call.includes("--dry-run"));
});

test("restore --keep-going: what failed, what became of it, and an exit code of its own", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const saved = {
    ...{ ...restored, database: "saved", previous: null, undo: null },
    failed: [
      {
        entry: "FK CONSTRAINT public.posts posts_uid_fkey",
        statement: "ALTER TABLE ONLY public.posts",
        error: "violates foreign key",
        outcome: "not valid",
      },
      { entry: "INDEX public.i", statement: "", error: "no", outcome: "from the future" },
    ],
    differences: ["public.t: 1 rows instead of 2"],
    notRestored: ["rows of public.t: 1 rows instead of 2"],
  };
  await outside.answer("restore", { out: [saved], code: 2 });
  const words = [
    "--into",
    "saved",
    "--max-hours",
    "2.5",
    "--keep-going",
    "--no-owner",
    "--role",
    "app",
    "--yes",
  ];
  const parts = ["--schema", "a", "--schema", "b", "--exclude-table", "log.*"];
  const { code, stdout, stderr } = await outside.run(["restore", ...words, ...parts]);
  assert.equal(code, 2, stderr);
  assert.match(stdout, /Restored what could be loaded into saved from /);
  assert.match(stdout, /1 of them differ from the snapshot/);
  assert.match(
    stdout,
    /Failed: FK CONSTRAINT .* \(violates foreign key\); it is there as NOT VALID/,
  );
  assert.match(stdout, /Failed: INDEX public\.i \(no\)\n/);
  const call = ((await outside.calls("ssh")).at(-1) ?? []).join(" ");
  for (const given of [
    "--into saved --max-hours 2.5",
    "--keep-going",
    "--no-owner",
    "--role app",
    parts.join(" "),
  ]) {
    assert.ok(call.includes(given.replace("log.*", "")), `${given} in ${call}`);
  }
  const json = await outside.run(["restore", ...words, "--json"]);
  assert.equal(json.code, 2);
  assert.equal(JSON.parse(json.stdout).failed[0].outcome, "not valid");
});

test("restore --keep-going wants a new database, or the word that it may replace the live one", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("restore", { out: [restored] });
  const refused = await outside.run(["restore", "--keep-going", "--yes"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /--into NAME\. With --allow-incomplete it takes the live/);
  assert.deepEqual(await outside.calls("ssh"), []);
  const allowed = await outside.run(["restore", "--keep-going", "--allow-incomplete", "--yes"]);
  assert.equal(allowed.code, 0, allowed.stderr);
});

test("restore: the backup before a deploy, by the beginning of its revision", async (t) => {
  const outside = await Outside.open(t);
  const before = (revision: string) => ({ deploys: [{ revision, key: "k" }] });
  await outside.backups(
    entryOf("2026-11-25T03:15:02"),
    entryOf("2026-11-24T09:00:00", before("1f2e3d4c")),
    entryOf("2026-11-24T03:15:02", before("1f2eaaaa")),
  );
  await outside.answer("restore", { out: [restored] });
  const { code, stdout, stderr } = await outside.run([
    "restore",
    "--before-deploy",
    "1f2ea",
    "--yes",
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Restore shop_production on 192\.0\.2\.10 from 2026-11-24 03:15:02 UTC/);
  assert.match(
    (await outside.calls("ssh")).at(-1)?.join(" ") ?? "",
    /restore.*2026-11-24T03:15:02/,
  );
  const several = await outside.run(["restore", "--before-deploy", "1f2e", "--yes"]);
  assert.match(
    several.stderr,
    /error: --before-deploy 1f2e is the beginning of several revisions: 1f2e3d4c/,
  );
  const both = await outside.run([
    "restore",
    "2026-11-24 09:00:00",
    "--before-deploy",
    "1f2e",
    "--yes",
  ]);
  assert.match(
    both.stderr,
    /--before-deploy 1f2e chooses the backup by itself\. Leave 2026-11-24 09:00:00 out/,
  );
});

test("restore --drop-after: the agent marks the replaced database, and says when it goes; with --into there is none", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const previous = "shop_production_before_20261124T102110";
  await outside.answer("restore", { out: [{ ...restored, previous }] });
  const { stdout, code, stderr } = await outside.run(["restore", "--yes", "--drop-after", "7d"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`\nThe first scheduled backup after 7d drops ${previous}\\.`));
  const calls = (await outside.calls("ssh")).map((words) => words.join(" "));
  assert.ok(
    calls.some((call) => /agent restore .* --drop-after 7d /.test(call)),
    calls.join("\n"),
  );
  const beside = await outside.run(["restore", "--yes", "--into", "x", "--drop-after", "7d"]);
  assert.match(beside.stderr, /^error: --drop-after is for the database that a restore replaces/);
});
