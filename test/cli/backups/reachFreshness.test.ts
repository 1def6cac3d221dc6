import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeReach, reachLines } from "../../../cli/backups/reachFreshness.ts";
import type { Alive, Reachable } from "../../../common/contracts/pointInTime.ts";

const NOW = Date.parse("2026-11-28T10:17:09Z");
const DECLARED = { keepDays: 14, rpoSeconds: 10, baseSchedule: "0 2 * * 0" };
const CHAIN = "kpb_20261114t020000_0a1b2c";

function found(changes: Partial<Reachable> = {}): Reachable {
  const alive: Alive = {
    ...{ version: 1, chain: CHAIN, time: "2026-11-28T10:15:00.000Z", serverLsn: "0/5" },
    ...{ archivedLsn: "0/5", heldBytes: 12_000_000, boundBytes: 4_000_000_000 },
  };
  return {
    windows: [
      {
        chain: CHAIN,
        ...{ from: "2026-11-14T02:03:11.000Z", to: "2026-11-28T10:17:05.000Z" },
        ...{ proven: "2026-11-28T10:15:00.000Z", bases: ["2026-11-14T02:00:00"] },
      },
    ],
    ...{ gaps: [], alive, plan: null },
    newestBase: { stamp: "2026-11-22T02:00:00", endedAt: "2026-11-22T02:04:00.000Z" },
    ...changes,
  };
}

const judge = (changes: Partial<Reachable> = {}) =>
  judgeReach(DECLARED, found(changes), "shop-db_backup", NOW);

describe("the recovery to any second", () => {
  it("is well while WAL comes and a base is young: one line with what can be reached and what the server holds", () => {
    const { text, isWell, differences } = judge();
    assert.equal(
      text,
      "any second from 2026-11-14 02:03:11 to 2026-11-28 10:17:05 UTC (4 s ago), server holds 12 MB of 4.0 GB",
    );
    assert.equal(isWell, true);
    assert.deepEqual(differences, []);
  });

  it("is drift when nothing has come for a quarter of an hour, not before", () => {
    const at = (time: string) => {
      const mark = { ...(found().alive as Alive), time };
      const [window] = found().windows;
      return judge({ alive: mark, windows: window ? [{ ...window, to: time }] : [] });
    };
    assert.equal(at("2026-11-28T10:02:10.000Z").isWell, true);
    const [late] = at("2026-11-28T10:02:08.000Z").differences;
    assert.deepEqual(late, {
      ...{ plane: "data", subject: "newest WAL", declared: "RPO 10 s", found: "15 min old" },
      remedy: "see why: docker logs shop-db_backup",
    });
  });

  it("is well on an idle server, whose WAL is old and whose mark of life is young", () => {
    const [window] = found().windows;
    const idle = { ...window, to: "2026-11-28T10:15:00.000Z" } as Reachable["windows"][number];
    assert.equal(judge({ windows: [idle] }).isWell, true);
  });

  it("is drift when the newest base is older than its schedule and a day", () => {
    const of = (endedAt: string) => judge({ newestBase: { stamp: "", endedAt } }).differences;
    assert.deepEqual(of("2026-11-20T10:17:10.000Z"), []);
    const [late] = of("2026-11-20T10:17:08.000Z");
    assert.equal(late?.subject, "newest base backup");
    assert.equal(late.declared, "every 7 d");
    assert.equal(late.found, "8 d old");
  });

  it("is drift with a gap, which is named; list has a line for each", () => {
    const gap = {
      chain: CHAIN,
      ...{ first: "000000010000000000000004", last: "000000010000000000000006", segments: 3 },
    };
    const [missing] = judge({ gaps: [gap] }).differences;
    const text = "3 segments missing: 000000010000000000000004 to 000000010000000000000006";
    assert.equal(missing?.found, text);
    assert.deepEqual(reachLines(found({ gaps: [gap] })), [
      "any second from 2026-11-14 02:03:11 to 2026-11-28 10:17:05 UTC",
      "WAL is missing: 000000010000000000000004 to 000000010000000000000006",
    ]);
  });

  it("is drift before anything was stored", () => {
    const { text, differences } = judge({ windows: [], alive: null, newestBase: null });
    assert.equal(text, "no moment can be recovered yet");
    assert.deepEqual(
      differences.map((one) => [one.subject, one.found]),
      [
        ["newest WAL", "none"],
        ["newest base backup", "none"],
      ],
    );
  });
});
