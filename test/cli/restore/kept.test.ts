import assert from "node:assert/strict";
import { test } from "node:test";
import { Outside } from "../support/run.ts";

const before = {
  name: "shop_production_before_20261124T102110",
  database: "shop_production",
  kind: "before",
  stamp: "2026-11-24T10:21:10",
  bytes: 3_000_000_000,
  sessions: 0,
  undo: "undo shop_production_before_20261124T102110",
};
const odd = { ...before, name: "-d_before_20261125T102110", bytes: null, sessions: 2 };
const unfinished = {
  ...before,
  name: "shop_production_restore_20261123T031501",
  kind: "unfinished",
  undo: null,
};

test("kept: name, size, age and the way back of each, as it can be pasted", async (t) => {
  const outside = await Outside.open(t);
  const marked = { ...odd, undo: `undo -- ${odd.name}`, dropAfter: "2026-12-02T10:21:10.000Z" };
  const databases = [before, marked, unfinished];
  await outside.answer("kept", { out: [{ event: "kept", databases }] });
  const { stdout, stderr, code } = await outside.run(["kept", "--stack", "my stack"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^database +size +age +what it is$/m);
  assert.match(
    stdout,
    /^shop_production_before_20261124T102110 +3\.0 GB +\d+ \w+ +replaced by a restore$/m,
  );
  assert.match(
    stdout,
    /^-d_before_20261125T102110 +size not known .*replaced by a restore, in use, dropped after 2026-12-02 10:21 UTC$/m,
  );
  assert.match(stdout, /^shop_production_restore_20261123T031501 +3\.0 GB +unfinished restore$/m);
  assert.match(
    stdout,
    /^To swap one back:\n {2}npx kamal-postgres-backup --stack 'my stack' undo shop_production_before_20261124T102110$/m,
  );
  assert.match(stdout, /--stack 'my stack' undo -- -d_before_20261125T102110$/m);
  const document = JSON.parse((await outside.run(["kept", "--json"])).stdout);
  assert.equal(document.databases.length, 3);
  assert.equal(document.databases[0].undo, `npx kamal-postgres-backup ${before.undo}`);
});

test("kept --drop: asks for the name, and drops nothing that a restore has not left", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("kept", { out: [{ event: "kept", databases: [before] }] });
  const { name, database, bytes } = before;
  await outside.answer("dropped", { out: [{ event: "dropped", name, database, bytes }] });
  const rows: [string[], string[], RegExp][] = [
    [[name], [], /standard input is no terminal\. Run it in a terminal, or add --yes/],
    [
      [name],
      ["shop_production\n"],
      /"shop_production" is not "shop_production_before_20261124T102110"; nothing was changed/,
    ],
    [
      ["shop_production", "--yes"],
      [],
      /"shop_production" is no database that a restore has left.*Those are: shop_production_before/,
    ],
  ];
  for (const [words, answers, sentence] of rows) {
    const { code, stderr } = await outside.run(["kept", "--drop", ...words], {}, ...answers);
    assert.equal(code, 1);
    assert.match(stderr, sentence);
  }
  assert.ok(
    (await outside.calls("ssh")).every((call) => !call.some((word) => word.startsWith("--drop"))),
  );
  const dropped = await outside.run(["kept", "--drop", name], {}, `${name}\n`);
  assert.equal(dropped.code, 0, dropped.stderr);
  assert.match(dropped.stdout, /^Dropped shop_production_before_20261124T102110 \(3\.0 GB\)\.$/m);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(call.indexOf("agent")), [
    ...["agent", "kept", "--attached", `--drop=${name}`, "--yes", "--json"],
  ]);
});

test("undo: asks for the database's own name, which one that was cut does not have", async (t) => {
  const outside = await Outside.open(t);
  const database = "shop_production_of_the_northern_region_with_all_its_branches_ab";
  const name = "shop_production_of_the_northern_re~0f6c1a2b_undone_20261124T102110";
  const long = { ...before, name, database, kind: "undone", undo: `undo ${name}` };
  await outside.answer("kept", { out: [{ event: "kept", databases: [before, long, unfinished] }] });
  const undone = { event: "undone", database, from: name, previous: null, elapsedMs: 300 };
  await outside.answer("undo", { out: [undone] });
  const cut = await outside.run(
    ["undo", name],
    {},
    "shop_production_of_the_northern_re~0f6c1a2b\n",
  );
  assert.equal(cut.code, 1);
  assert.match(cut.stderr, new RegExp(`is not "${database}"; nothing was changed`));
  const { code, stdout } = await outside.run(["undo", name], {}, `${database}\n`);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`Swapped back: ${name} is ${database} again`));

  const none = await outside.run(["undo", `${database}_before_20200101T000000`, "--yes"]);
  assert.equal(none.code, 1);
  assert.match(
    none.stderr,
    /there is no .* to swap back\. Those are: shop_production_before_\S+, shop_/,
  );
  assert.doesNotMatch(none.stderr, /_restore_/, "an unfinished one has no place");
});

const record = {
  version: 1,
  action: "restore",
  database: "shop_production",
  result: "done",
  from: "2026-11-24T03:15:02",
  previous: before.name,
  error: null,
  startedAt: "2026-11-24T10:20:32.123Z",
  elapsedMs: 38_000,
};

test("history: what was restored from what, how long it took, and why a try failed", async (t) => {
  const outside = await Outside.open(t);
  const failed = { ...record, result: "stopped", error: "cancelled from another terminal." };
  await outside.answer("history", { out: [{ event: "history", records: [failed, record] }] });
  const { stdout, code } = await outside.run(["history"]);
  assert.equal(code, 0);
  assert.deepEqual(stdout.split("\n"), [
    "begun (UTC)           what      database          from                  took   result",
    "2026-11-24 10:20:32   restore   shop_production   2026-11-24 03:15:02   38 s   stopped",
    "  cancelled from another terminal.",
    "2026-11-24 10:20:32   restore   shop_production   2026-11-24 03:15:02   38 s   done",
    "",
  ]);
});

test("cancel: what has ended is said; without anything running the agent's sentence", async (t) => {
  const outside = await Outside.open(t);
  const runs = [
    { pid: 7, command: "restore", words: "restore latest", startedAt: record.startedAt },
  ];
  await outside.answer("cancel", { out: [{ event: "cancelled", runs }] });
  const { stdout } = await outside.run(["cancel", "restore"]);
  assert.match(stdout, /^Ended: restore latest in shop-db_backup on 192\.0\.2\.10\./);
  assert.deepEqual((await outside.calls("ssh")).at(-1)?.slice(-4), [
    "agent",
    "cancel",
    "restore",
    "--json",
  ]);
});

test("status: a restore that runs, the last one, and what restores have left", async (t) => {
  const outside = await Outside.open(t);
  const state = {
    Status: "running",
    ExitCode: 0,
    StartedAt: "2026-11-20T00:00:00Z",
    FinishedAt: "",
  };
  await outside.answer("inspect", {
    out: `${JSON.stringify({ state, restarts: 0, image: "i" })}\n`,
  });
  await outside.backups();
  const runs = [
    { pid: 7, command: "restore", words: "restore latest", startedAt: new Date().toISOString() },
  ];
  const activity = {
    ...{ event: "activity", runs, kept: [before, unfinished], records: [record] },
    ...{ uploads: { count: 3, oldest: "2026-11-20T00:00:00Z" }, remarks: [] },
  };
  await outside.answer("activity", { out: [activity] });
  const { stdout } = await outside.run(["status"]);
  assert.match(stdout, /^ {2}running +restore latest, for \d s; to stop it: cancel$/m);
  assert.match(
    stdout,
    /^ {2}last restore +2026-11-24 10:20:32 UTC of shop_production, done after 38 s$/m,
  );
  assert.match(
    stdout,
    /^ {2}kept +1 earlier database, 3\.0 GB: see kept\n {2,}shop_production_before_20261124T102110, 3\.0 GB$/m,
  );
  assert.match(
    stdout,
    /^ {2}left over +1 unfinished restore, 3\.0 GB, one of them may be running: see kept$/m,
  );
  assert.match(stdout, /^ {2}uploads +3 unfinished uploads, the oldest \d+ d old; a backup drops/m);
  const document = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.equal(document.activity.runs.length, 1);

  // An agent of an earlier version has no such command, which is no news.
  await outside.answer("activity", { err: "error: unknown command 'activity'\n", code: 1 });
  const older = await outside.run(["status"]);
  assert.doesNotMatch(older.stdout, /activity|not known/);
});
