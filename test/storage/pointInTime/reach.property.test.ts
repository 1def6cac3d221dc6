import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Base, Chain } from "../../../common/contracts/pointInTime.ts";
import { lsnText } from "../../../storage/catalogue/walPosition.ts";
import { chooseRecovery, isIn } from "../../../storage/pointInTime/chooseRecovery.ts";
import {
  placeOf,
  type StoredChain,
  type StoredPiece,
  type StoredSegment,
} from "../../../storage/pointInTime/storedChain.ts";
import { reachOf } from "../../../storage/pointInTime/windows.ts";

const SIZE = 2 ** 24;
const QUARTER = SIZE / 4;
const START = Date.parse("2026-11-01T00:00:00Z");
/** A tick is a minute, so that a stamp, which has seconds, is exact. */
const timeOf = (tick: number) => new Date(START + tick * 60_000).toISOString();

/** What a server and its agent did, minute by minute. */
const tick = fc.record({
  /** Quarters of a segment that were written. */
  writes: fc.integer({ min: 0, max: 6 }),
  /** The piece of the open segment, and segments that were completed, are in the bucket. */
  keepsPiece: fc.boolean(),
  losesSegment: fc.integer({ min: 0, max: 9 }).map((drawn) => drawn === 0),
  base: fc.constantFrom("whole", "whole", "incremental", "none", "none", "none", "none"),
  losesBase: fc.integer({ min: 0, max: 4 }).map((drawn) => drawn === 0),
  marks: fc.boolean(),
});
const history = fc.array(tick, { minLength: 3, maxLength: 40 });

type Tick = typeof tick extends fc.Arbitrary<infer T> ? T : never;

/** Places, in quarters, at the end of each minute, and what is stored of them. */
interface Story {
  readonly stored: StoredChain;
  /** Behind the last byte that was written until the end of the minute. */
  readonly written: readonly number[];
  /** Quarters that are in the bucket. */
  readonly has: (quarter: number) => boolean;
  /** Minutes at which something was stored that ends there, or a mark that knows the place. */
  readonly evidence: readonly { readonly tick: number; readonly end: number }[];
}

function play(ticks: readonly Tick[], chain: Chain): Story {
  const written: number[] = [];
  const segments: StoredSegment[] = [];
  const pieces = new Map<number, StoredPiece[]>();
  const bases: Base[] = [];
  const alive: StoredChain["alive"][number][] = [];
  const evidence: { tick: number; end: number }[] = [];
  let position = placeOf(chain.startLsn) / QUARTER;
  let sent = position;
  let lastStamp: string | null = null;
  for (const [index, one] of ticks.entries()) {
    const storedAt = timeOf(index);
    const before = position;
    // A base is taken between two minutes, before what this one writes.
    const stamp = timeOf(index - 0.5).slice(0, 19);
    if (one.base !== "none") {
      const parent = one.base === "incremental" ? lastStamp : null;
      position += 1;
      const taken = {
        ...{ version: 1 as const, chain: chain.chain, stamp, parent, timeline: 1 },
        startLsn: lsnText(BigInt(before * QUARTER)),
        endLsn: lsnText(BigInt(position * QUARTER)),
        ...{ endedAt: timeOf(index - 0.25), bytes: 1, sha256: "", unpackedBytes: 1, durationMs: 1 },
      };
      lastStamp = stamp;
      if (!one.losesBase) {
        bases.push(taken);
        evidence.push({ tick: index - 0.5, end: before });
      }
    }
    position += one.writes;
    written.push(position);
    for (let number = Math.floor(before / 4); number < Math.floor(position / 4); number += 1) {
      if (one.losesSegment) continue;
      // It was full before the minute ended, so it says nothing of the end.
      segments.push({ number, storedAt: timeOf(index - 0.1) });
      evidence.push({ tick: index - 0.1, end: (number + 1) * 4 });
    }
    const open = Math.floor(position / 4);
    sent = Math.max(sent, open * 4);
    if (one.keepsPiece && position > sent) {
      const list = pieces.get(open) ?? [];
      const [from, to] = [(sent - open * 4) * QUARTER, (position - open * 4) * QUARTER];
      list.push({ key: "", from, to, storedAt });
      pieces.set(open, list);
      evidence.push({ tick: index, end: position });
      sent = position;
    }
    if (one.marks) {
      const lsn = lsnText(BigInt(position * QUARTER));
      alive.push({
        ...{ version: 1, chain: chain.chain, time: storedAt, serverLsn: lsn, archivedLsn: lsn },
        ...{ heldBytes: 0, boundBytes: null },
      });
      evidence.push({ tick: index, end: position });
    }
  }
  const whole = new Set(segments.map(({ number }) => number));
  const quarters = new Set<number>();
  for (const number of whole) for (let at = 0; at < 4; at += 1) quarters.add(number * 4 + at);
  for (const [number, list] of pieces) {
    for (const { from, to } of list) {
      for (let at = from / QUARTER; at < to / QUARTER; at += 1) quarters.add(number * 4 + at);
    }
    if (whole.has(number)) pieces.delete(number);
  }
  return {
    stored: { chain, segments, pieces, bases, alive },
    written,
    has: (quarter) => quarters.has(quarter),
    evidence,
  };
}

/** Whether the state at the end of a minute can be had, and is known to be that: by looking at each quarter. */
function canHave({ stored, written, has, evidence }: Story, at: number): boolean {
  const stamps = new Set(stored.bases.map(({ stamp }) => stamp));
  const isWhole = (base: Base): boolean => {
    if (base.parent === null) return true;
    const parent = stored.bases.find(({ stamp }) => stamp === base.parent);
    return stamps.has(base.parent) && parent !== undefined && isWhole(parent);
  };
  return stored.bases.some((base) => {
    if (base.endedAt > timeOf(at) || !isWhole(base)) return false;
    const from = placeOf(base.startLsn) / QUARTER;
    const to = Math.max(written[at] ?? 0, placeOf(base.endLsn) / QUARTER);
    const hasAll = (end: number) => {
      for (let quarter = from; quarter < end; quarter += 1) if (!has(quarter)) return false;
      return true;
    };
    // A recovery reads whole segments from the one in which the base begins.
    for (let quarter = Math.floor(from / 4) * 4; quarter < from; quarter += 1) {
      if (!has(quarter)) return false;
    }
    if (!hasAll(to)) return false;
    return evidence.some(({ tick, end }) => tick >= at && end >= to && hasAll(end));
  });
}

function chainOf(quarters: number): Chain {
  return {
    ...{ version: 1, chain: "kpb_20261101t000000_0a1b2c", systemIdentifier: "7", major: 17 },
    ...{ serverVersion: "17.6", startLsn: lsnText(BigInt(quarters * 4 * QUARTER)), timeline: 1 },
    ...{ segmentBytes: SIZE, encryption: "none", recipients: [], startedAt: timeOf(0) },
  };
}

describe("what can be recovered", () => {
  it("is each moment, and no other, that brute force finds: bases whole, no byte missing, the end known", () => {
    fc.assert(
      fc.property(history, fc.nat(1000), (ticks, start) => {
        const story = play(ticks, chainOf(start));
        const { windows } = reachOf([story.stored]);
        for (const at of ticks.keys()) {
          const claimed = windows.some((window) => isIn(window, timeOf(at)));
          assert.equal(claimed, canHave(story, at), `minute ${at}`);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("takes all WAL from the base to the moment, and no base that ended later", () => {
    fc.assert(
      fc.property(history, (ticks) => {
        const story = play(ticks, chainOf(3));
        for (const at of ticks.keys()) {
          const chosen = chooseRecovery([story.stored], timeOf(at));
          assert.equal(chosen !== undefined, canHave(story, at));
          if (chosen === undefined) continue;
          const base = chosen.bases.at(-1);
          assert.ok(base && base.endedAt <= timeOf(at));
          assert.ok(chosen.end >= (story.written[at] ?? 0) * QUARTER || !chosen.isProven);
          const first = Math.floor(placeOf(base.startLsn) / SIZE);
          const count = chosen.segments.length + chosen.pieced.length;
          assert.equal(count, Math.ceil(chosen.end / SIZE) - first);
          for (let quarter = first * 4; quarter < chosen.end / QUARTER; quarter += 1) {
            assert.ok(story.has(quarter));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("names the segments that are missing", () => {
    const chain = chainOf(8);
    const segments = [8, 9, 12, 13, 15].map((number) => ({ number, storedAt: timeOf(number) }));
    const stored = { chain, segments, pieces: new Map(), bases: [], alive: [] };
    assert.deepEqual(reachOf([stored]).gaps, [
      {
        chain: chain.chain,
        first: "00000001000000000000000A",
        last: "00000001000000000000000B",
        segments: 2,
      },
      {
        chain: chain.chain,
        first: "00000001000000000000000E",
        last: "00000001000000000000000E",
        segments: 1,
      },
    ]);
  });
});
