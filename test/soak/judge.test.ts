import assert from "node:assert/strict";
import { test } from "node:test";
import type { FaultName } from "./faults.ts";
import {
  judgeBackup,
  judgeRestore,
  type Left,
  type SeenOfBackup,
  type SeenOfRestore,
  type Wrong,
} from "./judge.ts";
import { drawRound, type Round } from "./rounds.ts";
import { printSummary, summarize } from "./summary.ts";

const nothing: Left = { orphans: [], uploads: [], databases: [], scratch: [], locks: [] };
const done = { code: 0, sentence: "" };
const stored = { place: "first", database: "shop", suspect: false, faults: [] };

const backupRound = (fault: FaultName = "agent-term"): Round => ({
  ...drawRound(1, 1, [fault]),
  ...{ subject: "backup", databases: ["shop"], copy: false },
});
const restoreRound = (): Round => ({ ...backupRound(), subject: "restore" });

const backup = (but: Partial<SeenOfBackup> = {}): SeenOfBackup => ({
  ...{ hit: true, ended: done, stderr: "", next: done, after: nothing, afterNext: nothing },
  ...{ places: ["first"], stored: [stored], nextStored: [stored], verified: null },
  ...but,
});
const restore = (but: Partial<SeenOfRestore> = {}): SeenOfRestore => ({
  ...{ hit: true, ended: done, stderr: "", next: done, after: nothing, afterNext: nothing },
  ...{ refusals: 1 },
  ...{ live: "new", kept: true, undone: { ...done, live: "old" }, nextLive: "new" },
  ...but,
});
const kinds = (wrong: readonly Wrong[]) => wrong.map(({ kind }) => kind);
const failed = (sentence: string, code: number | null = 1) => ({ code, sentence });

test("backups: what is right and what is wrong", () => {
  const key = "soak/plain/shop_2026-11-28T23:01:50.globals.sql.zst";
  const cases: [string, Partial<SeenOfBackup>, Wrong["kind"][], FaultName?][] = [
    ["all is well", {}, []],
    ["failed with a sentence, nothing there", { ended: failed("Broken."), stored: [] }, []],
    ["exit 0 and nothing there", { stored: [] }, ["false success"]],
    [
      "exit 0 and only a suspect one",
      { stored: [{ ...stored, suspect: true }] },
      ["false success"],
    ],
    [
      "exit 0 and the copy is missing",
      { places: ["first", "copy"], nextStored: [stored, { ...stored, place: "copy" }] },
      ["false success"],
    ],
    [
      "a manifest whose object differs, though the run failed",
      { ended: failed("Broken."), stored: [{ ...stored, faults: ["KEY: another SHA-256"] }] },
      ["lost"],
    ],
    [
      "nothing was stored, it says, and it is there",
      { ended: failed("stopped by SIGTERM; nothing was stored or changed.", 143) },
      ["sentence"],
    ],
    [
      "not 0, and it says that it is there",
      { ended: failed('stopped by SIGTERM: "shop" is complete.', 143) },
      [],
    ],
    [
      "it says that it is there, and it is not",
      { ended: failed('stopped by SIGTERM: "shop" is complete.', 143), stored: [] },
      ["sentence"],
    ],
    [
      "it says that it was not stored, and it is there",
      { ended: failed('stopped by SIGTERM: "shop" was not stored.', 143) },
      ["sentence"],
    ],
    [
      "it says that it does not count, and it does",
      { ended: failed("its manifest could not be written. This backup does not count.") },
      ["sentence"],
    ],
    ["no sentence", { ended: failed("", 143), stored: [] }, ["sentence"]],
    [
      "an error that nobody has explained",
      { ended: failed("unexpected Error: x (see --debug)"), stored: [] },
      ["sentence"],
    ],
    [
      "killed: nobody can ask it for a sentence",
      { ended: failed("", 137), stored: [] },
      [],
      "agent-kill",
    ],
    ["not started", { ended: failed("", 126), stored: [] }, [], "container-stop"],
    ["killed after the manifest", { ended: failed("", 137) }, [], "agent-kill"],
    ["no end", { ended: failed("", null), stored: [] }, ["no end"]],
    ["the next run fails", { next: failed("Locked."), nextStored: [] }, ["next run"]],
    ["the next run lies", { nextStored: [] }, ["false success"]],
    ["verify fails", { verified: failed("Damaged.") }, ["lost"]],
    [
      "an upload of a run that could end it",
      { ended: failed("Broken."), stored: [], after: { ...nothing, uploads: ["KEY ID"] } },
      ["left"],
    ],
    [
      "an upload of a killed run",
      { ended: failed("", 137), stored: [], after: { ...nothing, uploads: ["KEY ID"] } },
      [],
      "agent-kill",
    ],
    [
      "roles without a manifest, not named",
      { ended: failed("Broken."), stored: [], after: { ...nothing, orphans: [key] } },
      ["left"],
    ],
    [
      "roles without a manifest, named",
      { ended: failed(`Broken; ${key} stays.`), stored: [], after: { ...nothing, orphans: [key] } },
      [],
    ],
    ["a lock after the next run", { afterNext: { ...nothing, locks: ["1 in shop"] } }, ["left"]],
  ];
  for (const [name, but, expected, fault] of cases) {
    assert.deepEqual(kinds(judgeBackup(backupRound(fault), backup(but))), expected, name);
  }
});

test("of two databases one may be there when the run failed, but not when it says that nothing is", () => {
  const round: Round = { ...backupRound(), databases: ["shop", "shop_queue"] };
  const both = [stored, { ...stored, database: "shop_queue" }];
  const seen = (sentence: string) => backup({ ended: failed(sentence), nextStored: both });
  assert.deepEqual(
    judgeBackup(round, seen("1 of 2 failed: pg_dump was killed. Nothing was stored.")),
    [],
  );
  assert.deepEqual(kinds(judgeBackup(round, seen("stopped; nothing was stored or changed."))), [
    "sentence",
  ]);
});

test("restores: what is right and what is wrong", () => {
  const old: Partial<SeenOfRestore> = { live: "old", kept: null, undone: null };
  const cases: [string, Partial<SeenOfRestore>, Wrong["kind"][]][] = [
    ["all is well", {}, []],
    ["failed, and as before", { ...old, ended: failed('"shop" was not touched.') }, []],
    ["killed before the swap", { ...old, ended: failed("", 137) }, []],
    ["killed after the swap", { ended: failed("", 137) }, []],
    ["exit 0 and as before", old, ["false success"]],
    ["neither", { ...old, live: "neither", ended: failed("Broken.") }, ["lost"]],
    ["not 0, silent about the swap", { ended: failed("stopped by SIGTERM.", 143) }, ["sentence"]],
    [
      "not 0, and denies the swap",
      { ended: failed("restored nothing; nothing was changed.", 143) },
      ["sentence"],
    ],
    [
      "not 0, and says that it is done",
      { ended: failed('stopped by SIGTERM after "shop" was restored.', 143) },
      [],
    ],
    ["the old one is gone", { kept: false, undone: null }, ["lost"]],
    ["undo fails", { undone: { ...failed("In use."), live: "new" } }, ["lost"]],
    ["undo brings something else", { undone: { ...done, live: "neither" } }, ["lost"]],
    ["the next one lies", { nextLive: "old" }, ["false success"]],
    ["an application was refused again and again", { refusals: 2 }, ["refused"]],
    [
      "left by a killed run until the next one",
      {
        ...{ ...old, ended: failed("", 137) },
        after: { ...nothing, databases: ["shop_restore_T"], scratch: ["/scratch/x"] },
      },
      [],
    ],
    [
      "left by a run that could take it away, and did not name it",
      { ...old, ended: failed("Broken."), after: { ...nothing, databases: ["shop_restore_T"] } },
      ["left"],
    ],
    [
      "left and named",
      {
        ...{ ...old, ended: failed("Broken: shop_restore_T is left.") },
        after: { ...nothing, databases: ["shop_restore_T"] },
      },
      [],
    ],
    [
      "left after the next run",
      { afterNext: { ...nothing, databases: ["shop_restore_T"], scratch: ["/scratch/x"] } },
      ["left", "left"],
    ],
  ];
  for (const [name, but, expected] of cases) {
    assert.deepEqual(kinds(judgeRestore(restoreRound(), restore(but))), expected, name);
  }
});

test("the table counts rounds and hits, and does not call tested what was hardly hit", () => {
  const played = (n: number, hit: boolean, wrong: Wrong[] = []) => ({
    round: {
      ...backupRound("agent-kill"),
      number: n,
      subject: n % 2 ? "backup" : "restore",
    } as const,
    ...{ hit, wrong, ended: done, elapsedMs: 1, next: done, after: nothing, afterNext: nothing },
    ...{ connections: { "3D000": 1 }, renewed: [] },
  });
  const rounds = [
    ...[1, 2, 3, 4].map((n) => played(n, true)),
    played(5, false, [{ kind: "lost", what: "" }]),
  ];
  const [row] = summarize(rounds);
  assert.deepEqual(
    [row?.backups, row?.restores, row?.lost, row?.tested],
    [{ rounds: 3, hit: 2 }, { rounds: 2, hit: 2 }, 1, false],
  );
  const more = [...rounds, played(6, true, [{ kind: "next run", what: "" }])];
  assert.equal(summarize(more)[0]?.tested, true);
  const text = printSummary(more);
  assert.match(text, /^\| SIGKILL to the agent \| 3 \(2\) \| 3 \(3\) \| 0 \| 1 \| 0 \| 1 \|$/m);
  assert.match(text, /^6 rounds, 5 of them hit a live run\.$/m);
  assert.match(text, /refused once at a swap: 6\./);
});
