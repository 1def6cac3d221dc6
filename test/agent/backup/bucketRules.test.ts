import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { DestinationResults } from "../../../agent/backup/destinationResults.ts";
import { chooseDestinations } from "../../../agent/backup/destinations.ts";
import { deleteExpired } from "../../../agent/backup/expiry.ts";
import type { AgentContext, CopyDestination } from "../../../agent/runtime/context.ts";
import { missedRun } from "../../../agent/scheduler/missedRun.ts";
import { fromEnvironment } from "../../../common/contracts/agentEnvironment/environment.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import { TooManyObjects } from "../../../storage/catalogue/catalogue.ts";
import { dumpKey, manifestKey, stampOf } from "../../../storage/catalogue/objectKeys.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore, serviceError } from "../../support/memoryStore.ts";

/** What the agent decides by what lies in its two buckets, without a service or a database. */
const plain = { compression: "zstd", encryption: "none" } as const;
const DAY = 86_400_000;
const START = Date.now();
const daysAgo = (days: number) => stampOf(new Date(START - days * DAY));

function manifestOf(key: string, stamp: string): Manifest {
  return backupManifest({
    takenAt: `${stamp}Z`,
    // Two dumps never have the same bytes.
    object: { key, bytes: 1, sha256: createHash("sha256").update(key).digest("hex") },
  });
}

/** A bucket with a good backup of each of these days. */
function bucketWith(prefix: string, ...days: readonly number[]): MemoryStore {
  const store = new MemoryStore({ bucket: `bucket-${prefix}`, prefix });
  for (const stamp of days.map(daysAgo)) {
    const key = dumpKey(prefix, "app", stamp, plain);
    store.set(key);
    store.set(manifestKey(prefix, "app", stamp), JSON.stringify(manifestOf(key, stamp)));
  }
  return store;
}

/** The days of the backups that a bucket still has whole. */
const daysIn = (store: MemoryStore) =>
  store.keys
    .filter((key) => key.endsWith(".dump.zst"))
    .map((key) => Date.parse(`${key.slice(-28, -9)}Z`))
    .map((time) => Math.round((START - time) / DAY))
    .toSorted((a, b) => a - b);

interface World {
  readonly context: AgentContext;
  readonly first: MemoryStore;
  readonly copy: MemoryStore;
  readonly ledger: DestinationResults;
  /** Lines and notices, in their order. */
  readonly messages: string[];
}

function world(
  parts: {
    readonly first?: MemoryStore;
    readonly copy?: MemoryStore | Problem | null;
    readonly every?: string;
    readonly tiers?: boolean;
    readonly copyTiers?: boolean;
    readonly schedule?: string;
  } = {},
): World {
  const { first = bucketWith("first"), copy = bucketWith("copy"), every } = parts;
  const messages: string[] = [];
  const settings = fromEnvironment({
    POSTGRES_HOST: "db",
    POSTGRES_USER: "u",
    POSTGRES_PASSWORD: "p",
    POSTGRES_DATABASE: "app",
    S3_BUCKET: "bucket-first",
    S3_ACCESS_KEY_ID: "k",
    S3_SECRET_ACCESS_KEY: "s",
    S3_PREFIX: "first",
    BACKUP_TIERS: String(parts.tiers ?? false),
    SCHEDULE: parts.schedule ?? "@daily",
  });
  const place: CopyDestination | undefined =
    copy instanceof Problem
      ? { fault: copy }
      : copy === null
        ? undefined
        : {
            store: copy,
            ...(every !== undefined && { every }),
            tiers: parts.copyTiers ?? false,
            warnNotListable: () => messages.push("the copy is unlisted"),
          };
  const context: AgentContext = {
    settings,
    store: first,
    ...(place && { copy: place }),
    report: {
      event: () => {},
      line: (text) => messages.push(text),
      warn: (text) => messages.push(text),
      error: (text) => messages.push(text),
    },
    signal: new AbortController().signal,
  };
  const ledger = new DestinationResults(context);
  return { context, first, copy: copy instanceof MemoryStore ? copy : first, ledger, messages };
}

async function chosen({ context, ledger }: World, accept = false) {
  const { destinations, reference } = await chooseDestinations(context, { accept }, ledger);
  return [destinations.map(({ name }) => name).join(" and "), reference?.takenAt ?? null] as const;
}

describe("where a backup goes", () => {
  const rows: readonly [what: string, parts: Parameters<typeof world>[0], places: string][] = [
    ["with no copy declared: the first bucket", { copy: null }, "first"],
    ["without a rhythm: both, each time", { copy: bucketWith("copy", 0) }, "first and copy"],
    [
      "a copy that is due: both",
      { every: "@daily", copy: bucketWith("copy", 2) },
      "first and copy",
    ],
    ["no copy yet: both", { every: "@yearly" }, "first and copy"],
    ["a copy that is not due", { every: "@every 72h", copy: bucketWith("copy", 1) }, "first"],
    [
      "the first bucket cannot be read: the copy, due or not",
      {
        first: bucketWith("first").fail("list", serviceError("InternalError", 500)),
        every: "@every 72h",
        copy: bucketWith("copy", 1),
      },
      "copy",
    ],
    [
      "the copy's bucket cannot be read: the first one",
      { every: "@daily", copy: bucketWith("copy").fail("list", serviceError("SlowDown", 503)) },
      "first",
    ],
    ["the copy's settings are wrong", { copy: new Problem("COPY_S3_BUCKET is wrong.") }, "first"],
    [
      "a first key that may not list",
      { first: bucketWith("first", 1).deny("list") },
      "first and copy",
    ],
    [
      "a copy's key that may not list: each time",
      { every: "@every 72h", copy: bucketWith("copy", 1).deny("list") },
      "first and copy",
    ],
    [
      "tiers with a key that may not list: that place has failed",
      { copyTiers: true, copy: bucketWith("copy").deny("list") },
      "first",
    ],
  ];
  for (const [what, parts, places] of rows) {
    it(what, async () => {
      assert.equal((await chosen(world(parts)))[0], places);
    });
  }

  it("where nobody can look at all that lies there, with a notice, tiers or not", async () => {
    const first = bucketWith("first");
    // How many are too many: test/storage/catalogue.
    first.fail("list", new TooManyObjects(first, "app"));
    const one = world({ first, copyTiers: true });
    assert.deepEqual(await chosen(one), ["first and copy", null]);
    assert.match(
      one.messages.join(),
      /^not compared with the last backup: more than 100000 objects/,
    );
  });

  it("nowhere when neither can be read: both are named", async () => {
    const dead = world({
      first: bucketWith("first").fail("list", serviceError("InternalError", 500)),
      every: "@daily",
      copy: bucketWith("copy").fail("list", serviceError("SlowDown", 503)),
    });
    await assert.rejects(chosen(dead), {
      name: "Problem",
      message: /failed in both buckets\. s3:\/\/bucket-first\/first .*s3:\/\/bucket-copy\/copy /,
    });
  });

  it("a copy that is not due is mentioned, with the stamp of the last one", async () => {
    const late = world({ every: "@every 72h", copy: bucketWith("copy", 1) });
    await chosen(late);
    assert.match(late.messages.join("\n"), new RegExp(`^No copy is due: .* ${daysAgo(1)}`));
  });

  it("is compared with the latest good backup there, unless the difference is accepted", async () => {
    const first = bucketWith("first", 1, 2, 3);
    const [latest = "", second = ""] = first.keys
      .filter((key) => key.endsWith("json"))
      .toReversed();
    assert.equal((await chosen(world({ first })))[1], `${daysAgo(1)}Z`);
    assert.equal((await chosen(world({ first }), true))[1], null);
    first.set(latest, "{");
    const damaged = world({ first });
    assert.equal((await chosen(damaged))[1], `${daysAgo(2)}Z`);
    assert.match(damaged.messages.join("\n"), /^not compared with the backup of /);
    await first.delete(latest);
    await first.delete(second);
    assert.equal((await chosen(world({ first })))[1], `${daysAgo(3)}Z`);
  });
});

describe("what is deleted after a backup", () => {
  const keep = { days: 30, atLeast: 2 };
  const stored = (one: World, ...names: readonly ("first" | "copy")[]) => {
    for (const name of names) one.ledger.recordStored(name, manifestOf("x", daysAgo(0)));
    return one;
  };
  const old = (): Parameters<typeof world>[0] => ({
    first: bucketWith("first", 0, 10, 40, 50),
    copy: bucketWith("copy", 0, 35, 60),
  });

  it("what is too old, in each place by its own list", async () => {
    const both = stored(world(old()), "first", "copy");
    await deleteExpired(both.context, keep, both.ledger, undefined);
    assert.deepEqual(
      [daysIn(both.first), daysIn(both.copy)],
      [
        [0, 10],
        [0, 35],
      ],
    );
    assert.deepEqual(both.messages, [
      "Deleted 2 backups of app older than 30 days.",
      "Deleted 1 copies of app older than 30 days.",
    ]);
  });

  it("nothing where no new backup has arrived, and nothing in folders by calendar", async () => {
    const onlyCopy = stored(world(old()), "copy");
    await deleteExpired(onlyCopy.context, keep, onlyCopy.ledger, undefined);
    assert.deepEqual([daysIn(onlyCopy.first).length, daysIn(onlyCopy.copy).length], [4, 2]);
    const tiers = stored(world({ ...old(), copyTiers: true }), "first", "copy");
    await deleteExpired(tiers.context, keep, tiers.ledger, undefined);
    assert.deepEqual([daysIn(tiers.first).length, daysIn(tiers.copy).length], [2, 3]);
  });

  it("a key that may not delete, or not list, is no failure", async () => {
    for (const [operation, sentence] of [
      ["delete", /^BACKUP_KEEP_DAYS: the key may not delete, so 2 backups older than 30 days stay/],
      ["list", /^BACKUP_KEEP_DAYS: the key may not list the bucket, so the backups older than/],
    ] as const) {
      const one = stored(world(old()), "first", "copy");
      one.first.deny(operation);
      await deleteExpired(one.context, keep, one.ledger, undefined);
      assert.match(one.messages[0] ?? "", sentence);
      assert.deepEqual([daysIn(one.first).length, daysIn(one.copy).length], [4, 2]);
    }
  });

  it("a service that fails spoils its own place alone, and the message says which", async () => {
    for (const [bad, sentence] of [
      ["first", /^the new backup is complete, but old backups stay: cannot delete first\//],
      ["copy", /^the new copy is complete, but old copies stay: cannot delete copy\//],
    ] as const) {
      const one = stored(world(old()), "first", "copy");
      one[bad].fail("delete", serviceError("InternalError", 500));
      await assert.rejects(deleteExpired(one.context, keep, one.ledger, undefined), {
        message: sentence,
      });
      assert.deepEqual(
        [daysIn(one.first).length, daysIn(one.copy).length],
        bad === "first" ? [4, 2] : [2, 3],
      );
    }
  });

  it("a run that has failed already is not failed again: the message is a notice", async () => {
    const one = stored(world(old()), "first");
    one.ledger.recordFailure("copy", new Problem("the copy failed."));
    one.first.fail("delete", serviceError("InternalError", 500));
    await deleteExpired(one.context, keep, one.ledger, undefined);
    assert.match(one.messages.join(), /^the new backup is complete, but old backups stay/);
  });
});

describe("whether a run was missed", () => {
  const now = new Date("2026-11-24T12:00:00Z");
  const at = (...stamps: readonly string[]) => {
    const store = new MemoryStore({ prefix: "first" });
    for (const stamp of stamps) {
      store.set(dumpKey("first", "app", stamp, plain));
      store.set(manifestKey("first", "app", stamp));
    }
    return store;
  };
  const half = at("2026-11-22T03:00:10");
  half.set(dumpKey("first", "app", "2026-11-24T03:00:10", plain));
  const rows: readonly [what: string, store: MemoryStore, missed: string | undefined][] = [
    ["none when the last one is there", at("2026-11-24T03:00:10"), undefined],
    ["yes when the latest is older", at("2026-11-22T03:00:10", "2026-11-23T03:00:10"), "23"],
    ["a dump without manifest is no backup", half, "22"],
    ["a database without any has missed none", at(), undefined],
  ];
  for (const [what, store, missed] of rows) {
    it(what, async () => {
      const { settings } = world({ schedule: "0 3 * * *" }).context;
      const found = await missedRun(store, settings, now, "UTC");
      assert.equal(found?.latestStamp, missed && `2026-11-${missed}T03:00:10`);
      if (missed) assert.equal(found?.due.toISOString(), "2026-11-24T03:00:00.000Z");
    });
  }
});
