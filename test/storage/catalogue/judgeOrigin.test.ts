import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  parseSigningKeys,
  type SigningKey,
  signManifest,
} from "../../../common/contracts/manifestMac.ts";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import { countingBackups } from "../../../storage/catalogue/countingBackups.ts";
import { judgeOrigin } from "../../../storage/catalogue/judgeOrigin.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import { backupEntry, backupManifest } from "../../support/manifest.ts";
import { MemoryStore, serviceError } from "../../support/memoryStore.ts";

const keyOf = (byte: number): SigningKey[] =>
  parseSigningKeys(Buffer.alloc(32, byte).toString("base64url"), "key");
const OURS = keyOf(1);
const OTHER = keyOf(2);
const SINCE = "2026-11-10T12:00:00Z";

/** A backup of a day of November at midnight, stored in the same second unless it is said otherwise. */
interface Stored {
  readonly day: number;
  readonly by?: readonly SigningKey[] | "old image";
  /** Its manifest is no JSON. */
  readonly broken?: boolean;
  readonly storedOn?: number;
  readonly manifestOn?: number;
  /** Of the dump. */
  readonly bytes?: string;
}

const midnight = (day: number) => `2026-11-${String(day).padStart(2, "0")}T00:00:00`;

function place(
  store: MemoryStore,
  { day, by = [], broken, bytes, storedOn = day, manifestOn = storedOn }: Stored,
): CatalogueEntry {
  const stamp = midnight(day);
  const storedAt = `${midnight(storedOn)}.000Z`;
  if (by === "old image") {
    return backupEntry(stamp, { storedAt, kind: "legacy", manifestKey: null });
  }
  const key = dumpKey("backup", "app", stamp, { compression: "zstd", encryption: "none" });
  const sha256 = (bytes ?? `${day}`).padStart(64, "0");
  const manifest = backupManifest({ takenAt: `${stamp}Z`, object: { key, bytes: 1, sha256 } });
  store.set(
    manifestKey("backup", "app", stamp),
    broken ? "x" : JSON.stringify(signManifest(manifest, by)),
  );
  return backupEntry(stamp, { key, storedAt, manifestStoredAt: `${midnight(manifestOn)}.000Z` });
}

/** What is said of each, and the day of the one that is latest. */
async function judged(since: string | undefined, backups: readonly Stored[], also?: number) {
  const store = new MemoryStore();
  const entries = backups.map((one) => place(store, one));
  const found = await judgeOrigin(
    store,
    entries,
    { keys: OURS, since, encrypts: false },
    also === undefined ? {} : { also: midnight(also) },
  );
  const problems = Object.fromEntries(
    found.flatMap(({ stamp, originProblem }) =>
      originProblem ? [[Number(stamp.slice(8, 10)), originProblem]] : [],
    ),
  );
  const [latest] = countingBackups(found);
  return { problems, latest: latest && Number(latest.stamp.slice(8, 10)) };
}

describe("what is not signed", () => {
  const rows: [
    what: string,
    since: string | undefined,
    backups: readonly Stored[],
    problems: Record<number, string>,
    latest: number | undefined,
  ][] = [
    ["counts while nothing is, where nobody knows since when", undefined, [{ day: 20 }], {}, 20],
    [
      "loses to the first one that is, whatever its age",
      undefined,
      [{ day: 20 }, { day: 12, by: OURS }, { day: 9 }],
      { 20: "unsigned", 9: "unsigned" },
      12,
    ],
    ["counts where it is older than signing", SINCE, [{ day: 9 }, { day: 8 }], {}, 9],
    [
      "never counts where it was stored since, though nothing is signed any more",
      SINCE,
      [{ day: 20 }, { day: 11 }, { day: 9 }, { day: 8 }],
      { 20: "unsigned", 11: "unsigned" },
      9,
    ],
    [
      "is no backup at all where everything was replaced",
      SINCE,
      [{ day: 20 }, { day: 19, broken: true }, { day: 18, by: OTHER }],
      { 20: "unsigned", 19: "unreadable manifest", 18: "signed with an unknown key" },
      undefined,
    ],
    [
      "never counts where only its manifest was replaced since",
      SINCE,
      [
        { day: 9, manifestOn: 20 },
        { day: 8, storedOn: 20, manifestOn: 8 },
      ],
      { 9: "unsigned", 8: "unsigned" },
      undefined,
    ],
    [
      "by its name is older, and was stored since",
      SINCE,
      [{ day: 9, storedOn: 20 }],
      { 9: "unsigned" },
      undefined,
    ],
    [
      "was written by the old image",
      SINCE,
      [
        { day: 20, by: "old image" },
        { day: 9, by: "old image" },
      ],
      { 20: "unsigned" },
      9,
    ],
    [
      "is signed with the key of a stack that was lost, before this one began",
      SINCE,
      [{ day: 9, by: OTHER }],
      {},
      9,
    ],
    [
      "is the same bytes again, while nothing is signed yet",
      SINCE,
      [
        { day: 9, bytes: "a" },
        { day: 8, bytes: "b" },
        { day: 7, bytes: "a" },
      ],
      { 9: "replay" },
      8,
    ],
  ];
  for (const [what, since, backups, problems, latest] of rows) {
    it(what, async () => assert.deepEqual(await judged(since, backups), { problems, latest }));
  }

  it("is judged by its time, too, where it lies behind the signed ones", async () => {
    const backups = [{ day: 20, by: OURS }, { day: 12 }, { day: 9 }];
    assert.deepEqual((await judged(SINCE, backups)).problems, {});
    assert.deepEqual((await judged(SINCE, backups, 12)).problems, { 12: "unsigned" });
    assert.deepEqual((await judged(SINCE, [{ day: 12 }, { day: 9 }], 9)).problems, {
      12: "unsigned",
    });
  });
});

describe("a manifest that the service does not give for now", () => {
  const trust = { keys: OURS, encrypts: false };
  const slow = serviceError("SlowDown", 503);
  const fiveSigned = (unread: readonly number[]) => {
    const store = new MemoryStore();
    const entries = [5, 4, 3, 2, 1].map((day) => place(store, { day, by: OURS }));
    const keys = unread.map((day) => manifestKey("backup", "app", midnight(day)));
    store.fail("get", (key) => (keys.includes(key) ? slow : undefined));
    return { store, entries };
  };

  it("is a failure where the latest backup must be known", async () => {
    const { store, entries } = fiveSigned([5]);
    await assert.rejects(judgeOrigin(store, entries, trust), /read the manifest .*overloaded/);
  });

  it("leaves that one out where a backup must not fail by it, and all after three of them", async () => {
    for (const [unread, left, named] of [
      [[5], [4, 3, 2, 1], [5]],
      [
        [5, 4],
        [3, 2, 1],
        [5, 4],
      ],
      [[4], [5, 4, 3, 2, 1], []],
      [[5, 4, 3, 2, 1], [], [5, 4, 3]],
    ] as const) {
      const { store, entries } = fiveSigned(unread);
      const heard: number[] = [];
      const onUnread = ({ stamp }: CatalogueEntry) => heard.push(Number(stamp.slice(8, 10)));
      const found = await judgeOrigin(store, entries, trust, { onUnread });
      assert.deepEqual(
        found.map(({ stamp }) => Number(stamp.slice(8, 10))),
        left,
      );
      assert.deepEqual(heard, named);
    }
  });
});
