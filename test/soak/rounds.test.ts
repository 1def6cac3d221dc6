import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_NAMES, FAULTS, faultOf, STAGES } from "./faults.ts";
import { drawRound, type Round } from "./rounds.ts";

const many = Array.from({ length: 3_000 }, (_, n) => drawRound(5, n + 1));
const share = (rounds: readonly Round[], is: (round: Round) => boolean) =>
  rounds.filter(is).length / rounds.length;

test("a seed draws the same rounds again, each by its number alone, and another seed others", () => {
  assert.deepEqual(drawRound(5, 700), many[699]);
  assert.notDeepEqual(drawRound(6, 700), many[699]);
  assert.equal(new Set(many.map((round) => JSON.stringify({ ...round, number: 0 }))).size, 3_000);
});

test("only some faults: those alone are drawn", () => {
  const only = ["store-pause", "agent-kill"] as const;
  const drawn = Array.from({ length: 50 }, (_, n) => drawRound(9, n, only).fault);
  assert.deepEqual([...new Set(drawn)].toSorted(), ["agent-kill", "store-pause"]);
});

test("every fault comes as often as it weighs, in each kind of run that it can meet", () => {
  const total = FAULT_NAMES.reduce((sum, name) => sum + FAULTS[name].weight, 0);
  for (const name of FAULT_NAMES) {
    const rounds = many.filter(({ fault }) => fault === name);
    const { subjects, weight } = faultOf(name);
    assert.ok(Math.abs(rounds.length / many.length - weight / total) < 0.02, name);
    assert.deepEqual(
      [...new Set(rounds.map(({ subject }) => subject))].toSorted(),
      [...subjects].toSorted(),
    );
  }
});

test("all twelve ways of a backup are drawn, a restore goes through a folder once in five", () => {
  const backups = many.filter(({ subject }) => subject === "backup");
  const ways = backups.map(({ encryption, databases, copy }) =>
    [encryption, databases.length, copy].join(),
  );
  assert.equal(new Set(ways).size, 12);
  const restores = many.filter(({ subject }) => subject === "restore");
  assert.ok(restores.every(({ databases, copy }) => databases.length === 1 && !copy));
  assert.ok(Math.abs(share(restores, ({ scratch }) => scratch) - 0.2) < 0.04);
  assert.ok(backups.every(({ scratch }) => !scratch));
});

test("a copy's service is only killed under a backup that writes a copy", () => {
  assert.ok(many.every(({ fault, copy }) => fault !== "copy-kill" || copy));
});

test("of the restores with a moment by time, 45 in 100 are hit in their last third, where the swap is", () => {
  const timed = many.filter(
    (round) =>
      round.subject === "restore" &&
      "share" in round.moment &&
      faultOf(round.fault).latest === undefined,
  );
  const late = share(timed, ({ moment }) => "share" in moment && moment.share >= 0.67);
  assert.ok(Math.abs(late - 0.45) < 0.05, String(late));
  assert.ok(timed.every(({ moment }) => !("share" in moment) || moment.share <= 1.05));
});

test("every stage of both kinds of run is hit, each in runs of its kind", () => {
  for (const subject of ["backup", "restore"] as const) {
    const stages = many.flatMap((round) =>
      round.subject === subject && "stage" in round.moment ? [round.moment.stage] : [],
    );
    assert.deepEqual([...new Set(stages)].toSorted(), [...STAGES[subject]].toSorted());
  }
});

test("a fault that lasts does so within its bounds", () => {
  for (const { fault, lastsMs } of many) {
    const [least, most] = faultOf(fault).lasts ?? [0, 0];
    assert.ok(lastsMs >= least && lastsMs <= most, fault);
  }
});
