import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import type { Alive, Base, Chain } from "../../../common/contracts/pointInTime.ts";
import {
  aliveKey,
  baseKey,
  baseTarKey,
  chainKey,
  pieceKey,
  segmentKey,
} from "../../../storage/catalogue/pointInTimeKeys.ts";
import { recordText } from "../../../storage/catalogue/signedRecord.ts";
import { readReachable, requireRecovery } from "../../../storage/pointInTime/reachable.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const PREFIX = "backup";
const NAME = "kpb_20261101t000000_0a1b2c";
const KEYS = parseSigningKeys(Buffer.alloc(32, 1).toString("base64url"), "keys");
const OTHERS = parseSigningKeys(Buffer.alloc(32, 2).toString("base64url"), "keys");
const MIB = 2 ** 20;

const chain: Chain = {
  ...{ version: 1, chain: NAME, systemIdentifier: "7", major: 17, serverVersion: "17.6" },
  ...{ startLsn: "0/3000000", timeline: 1, segmentBytes: 16 * MIB, encryption: "none" },
  ...{ recipients: [], startedAt: "2026-11-01T00:00:00Z" },
};

/** @param segment number in which it lies */
function baseAt(stamp: string, segment: number, parent: string | null = null): Base {
  const lsn = (offset: string) => `0/${segment.toString(16).toUpperCase()}${offset}`;
  return {
    ...{ version: 1, chain: NAME, stamp, parent, timeline: 1 },
    ...{ startLsn: lsn("000028"), endLsn: lsn("000100"), endedAt: `${stamp}Z` },
    ...{ bytes: 10, sha256: "", unpackedBytes: 100 * MIB, durationMs: 1 },
  };
}

function markAt(time: string, lsn: string): Alive {
  return {
    ...{ version: 1, chain: NAME, time, serverLsn: lsn, archivedLsn: lsn },
    ...{ heldBytes: 0, boundBytes: null },
  };
}

const fileOf = (segment: number) =>
  `0000000100000000000000${segment.toString(16).toUpperCase().padStart(2, "0")}`;

/** A bucket with a chain. Its objects are stored now, which is after each mark. */
function bucket({
  segments,
  bases,
  marks = [],
  keys = KEYS,
}: {
  readonly segments: readonly number[];
  readonly bases: readonly Base[];
  readonly marks?: readonly Alive[];
  readonly keys?: typeof KEYS;
}): MemoryStore {
  const store = new MemoryStore({ prefix: PREFIX });
  store.set(chainKey(PREFIX, NAME), recordText(chain, keys, "wal chain"));
  for (const segment of segments) store.set(segmentKey(PREFIX, NAME, fileOf(segment), chain));
  for (const base of bases) {
    store.set(baseKey(PREFIX, base), recordText(base, keys, "base backup"));
    store.set(baseTarKey(PREFIX, NAME, base.stamp, chain));
  }
  for (const mark of marks) {
    store.set(aliveKey(PREFIX, NAME, mark.time.slice(0, 19)), JSON.stringify(mark));
  }
  return store;
}

function piece(store: MemoryStore, segment: number, from: number, to: number): void {
  store.set(pieceKey(PREFIX, NAME, { file: fileOf(segment), from, to }, chain));
}

describe("what a bucket can bring back", () => {
  it("begins with a base and ends with the newest stored WAL; a mark of life proves a part of it", async () => {
    const base = baseAt("2026-11-01T02:00:00", 4);
    const marks = [
      markAt("2026-11-01T02:05:00.000Z", "0/4800000"),
      markAt("2026-11-01T02:10:00.000Z", "0/5000200"),
      markAt("2026-11-01T02:15:00.000Z", "0/5000400"),
    ];
    const store = bucket({ segments: [3, 4], bases: [base], marks });
    piece(store, 5, 0, 0x300);
    const { windows, gaps, alive, newestBase, plan } = await readReachable(
      store,
      KEYS,
      "2026-11-01T02:06:00.000Z",
    );
    const [window] = windows;
    assert.equal(window?.from, "2026-11-01T02:00:00.000Z");
    assert.equal(window.proven, "2026-11-01T02:10:00.000Z");
    assert.ok(window.to > "2026-11-01T02:15:00");
    assert.deepEqual(gaps, []);
    assert.equal(alive?.time, "2026-11-01T02:15:00.000Z");
    assert.deepEqual(newestBase, { stamp: base.stamp, endedAt: base.endedAt });
    // No more than up to the first mark after the moment.
    assert.equal(plan?.endLsn, "0/5000200");
    assert.equal(plan.isProven, true);
    assert.equal(plan.segments, 2);
    assert.equal(plan.diskBytes, 132 * MIB);
  });

  it("names the gap, and refuses a moment in it with the windows around", async () => {
    const bases = [baseAt("2026-11-01T02:00:00", 3), baseAt("2026-11-03T02:00:00", 7)];
    const marks = [markAt("2026-11-01T03:00:00.000Z", "0/3800000")];
    const store = bucket({ segments: [3, 7, 8], bases, marks });
    // Stored when it was full, as an old segment is.
    const list = store.list.bind(store);
    store.list = async function* (prefix) {
      for await (const object of list(prefix)) {
        const isOld = object.key.includes(fileOf(3));
        yield { ...object, ...(isOld && { storedAt: "2026-11-01T04:00:00.000Z" }) };
      }
    };
    const { gaps, windows } = await readReachable(store, KEYS);
    assert.deepEqual(gaps, [{ chain: NAME, first: fileOf(4), last: fileOf(6), segments: 3 }]);
    assert.deepEqual(
      windows.map(({ from, proven }) => [from, proven]),
      [
        ["2026-11-01T02:00:00.000Z", "2026-11-01T03:00:00.000Z"],
        ["2026-11-03T02:00:00.000Z", "2026-11-03T02:00:00.000Z"],
      ],
    );
    await assert.rejects(requireRecovery(store, KEYS, "2026-11-02T12:00:00.000Z"), {
      name: "Problem",
      message:
        /^2026-11-02 12:00:00 UTC lies in a hole\. WAL is missing: 000000010000000000000004 to 000000010000000000000006\. Any second can be recovered from 2026-11-01 02:00:00 to 2026-11-01 04:00:00 UTC; 2026-11-03 02:00:00 to 20\S+ \S+ UTC\. Give one of them with --to\.$/,
    });
  });

  it("takes an incremental base with those beneath it, and none without", async () => {
    const whole = baseAt("2026-11-01T02:00:00", 3);
    const first = baseAt("2026-11-02T02:00:00", 4, whole.stamp);
    const second = baseAt("2026-11-03T02:00:00", 5, first.stamp);
    const all = bucket({ segments: [3, 4, 5], bases: [whole, first, second] });
    const { recovery, plan } = await requireRecovery(all, KEYS, "latest");
    assert.deepEqual(recovery.bases, [whole, first, second]);
    assert.equal(plan.diskBytes, 400 * MIB + 16 * MIB);
    const holed = bucket({ segments: [3, 4, 5], bases: [whole, second] });
    assert.deepEqual((await requireRecovery(holed, KEYS, "latest")).recovery.bases, [whole]);
  });

  it("has no window by what somebody else has signed, nor by a base without its tar or the end of its WAL", async () => {
    const base = baseAt("2026-11-01T02:00:00", 3);
    const foreign = bucket({ segments: [3], bases: [base], keys: OTHERS });
    assert.deepEqual((await readReachable(foreign, KEYS)).windows, []);
    const bare = bucket({ segments: [3], bases: [base] });
    await bare.delete(baseTarKey(PREFIX, NAME, base.stamp, chain));
    assert.deepEqual((await readReachable(bare, KEYS)).windows, []);
    await assert.rejects(
      requireRecovery(bare, KEYS, "latest"),
      /holds no base backup with its WAL/,
    );
    // Its WAL is there from the beginning, but not to the end.
    const cut = bucket({ segments: [3], bases: [{ ...base, endLsn: "0/4000010" }] });
    assert.deepEqual((await readReachable(cut, KEYS)).windows, []);
    // A record that was copied under the name of another one.
    const renamed = bucket({ segments: [3], bases: [] });
    const copy = recordText(base, KEYS, "base backup");
    renamed.set(baseKey(PREFIX, { ...base, stamp: "2026-11-09T02:00:00" }), copy);
    renamed.set(baseTarKey(PREFIX, NAME, "2026-11-09T02:00:00", chain));
    assert.deepEqual((await readReachable(renamed, KEYS)).windows, []);
  });

  it("puts a segment together whose pieces overlap, and stops at the piece that is missing", async () => {
    const base = baseAt("2026-11-01T02:00:00", 3);
    const store = bucket({ segments: [3], bases: [base] });
    for (const [from, to] of [
      [0, 0x100],
      // A receiver that began anew.
      [0, 0x180],
      [0x180, 0x200],
      [0x300, 0x400],
    ] as const) {
      piece(store, 4, from, to);
    }
    const { recovery } = await requireRecovery(store, KEYS, "latest");
    assert.deepEqual(
      recovery.pieced.map(({ file, pieces }) => [file, pieces.map(({ from, to }) => [from, to])]),
      [
        [
          fileOf(4),
          [
            [0, 0x180],
            [0x180, 0x200],
          ],
        ],
      ],
    );
    assert.equal(recovery.end, 4 * 16 * MIB + 0x200);
  });

  it("asks for few of many marks of life", async () => {
    const base = baseAt("2026-11-01T02:00:00", 3);
    const marks = Array.from({ length: 2000 }, (_, minute) =>
      markAt(
        new Date(Date.parse("2026-11-01T03:00:00Z") + minute * 300_000).toISOString(),
        `0/3${(0x1000 + minute * 0x100).toString(16).toUpperCase().padStart(6, "0")}`,
      ),
    );
    const store = bucket({ segments: [], bases: [base], marks });
    piece(store, 3, 0, 0x1000 + 700 * 0x100);
    const { windows } = await readReachable(store, KEYS, "2026-11-02T00:00:00.000Z");
    assert.equal(windows[0]?.proven, marks[700]?.time);
    const asked = store.requests.filter((request) => request.startsWith("get "));
    assert.ok(asked.length < 20, `${asked.length} were read`);
  });
});
