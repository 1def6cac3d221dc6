import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { type CatalogueEntry, isComplete, listBackups } from "../../storage/catalogue/catalogue.ts";
import {
  dumpKey,
  type Folder,
  globalsKey,
  manifestKey,
  stampOf,
  verifiedKey,
} from "../../storage/catalogue/objectKeys.ts";
import { readManifest, withManifests } from "../../storage/catalogue/readManifest.ts";
import { chooseBackup } from "../../storage/catalogue/selectBackup.ts";
import type { Store } from "../../storage/s3/client.ts";
import { makeBucket } from "../support/bucket.ts";
import { startStore, type TestStore } from "../support/store.ts";

const plain = { compression: "zstd", encryption: "none" } as const;
const problem = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "Problem", error.stack);
  assert.match(error.message, message);
  return true;
};

describe("catalogue", () => {
  let service: TestStore;
  before(async () => {
    service = await startStore();
  });
  after(() => service.stop());

  it("finds the newest of 1,050 backups and none of another database", async () => {
    const store = await makeBucket(service, "many");
    const stamps = Array.from({ length: 1_050 }, (_, i) =>
      stampOf(new Date(Date.UTC(2026, 0, 1) + i * 3_600_000)),
    );
    const keys = stamps.flatMap((stamp) => [
      dumpKey("backup", "app_production", stamp, plain),
      manifestKey("backup", "app_production", stamp),
    ]);
    const queue = dumpKey("backup", "app_production_queue", "2030-01-01T00:00:00", plain);
    await put(store, [
      ...keys,
      queue,
      manifestKey("backup", "app_production_queue", "2030-01-01T00:00:00"),
    ]);

    const entries = await listBackups(store, "app_production");
    assert.equal(entries.length, 1_050);
    assert.deepEqual(
      entries.map(({ stamp }) => stamp),
      stamps.toReversed(),
    );
    assert.ok(entries.every(isComplete));
    assert.equal(
      chooseBackup(entries, "latest", "app_production", "s3://many/backup").stamp,
      stamps.at(-1),
    );
    const others = await listBackups(store, "app_production_queue");
    assert.deepEqual(
      others.map(({ key }) => key),
      [queue],
    );
  });

  it("keeps databases with odd names apart", async () => {
    const store = await makeBucket(service, "odd");
    const names = [
      "app",
      "App",
      "a b",
      "a%20b",
      'q"q',
      "it's",
      "a/b",
      "Zürich",
      "app_2026-11-24T03:15:02",
    ];
    const stamp = "2026-11-24T03:15:02";
    await put(
      store,
      names.flatMap((name) => [
        dumpKey("backup", name, stamp, plain),
        manifestKey("backup", name, stamp),
      ]),
    );
    for (const name of names) {
      const entries = await listBackups(store, name);
      assert.deepEqual(
        entries.map(({ key, database, manifestKey: manifest }) => ({ key, database, manifest })),
        [
          {
            key: dumpKey("backup", name, stamp, plain),
            database: name,
            manifest: manifestKey("backup", name, stamp),
          },
        ],
      );
    }
  });

  it("lists old dumps, marks dumps without manifest, leaves out manifests without dump", async () => {
    const store = await makeBucket(service, "mixed");
    const at = (day: number) => `2026-11-0${day}T00:00:00`;
    await put(store, [
      `backup/my app_${at(1)}.dump`,
      `backup/my app_${at(2)}.dump.gpg`,
      dumpKey("backup", "my app", at(3), plain),
      manifestKey("backup", "my app", at(3)),
      manifestKey("backup", "my app", at(4)),
      dumpKey("backup", "my app", at(5), plain),
      "backup/my app_latest.dump",
    ]);
    const entries = await listBackups(store, "my app");
    assert.deepEqual(
      entries.map(({ stamp, kind, manifestKey: manifest }) => [stamp, kind, manifest]),
      [
        [at(5), "ours", null],
        [at(3), "ours", manifestKey("backup", "my app", at(3))],
        [at(2), "legacy", null],
        [at(1), "legacy", null],
      ],
    );
    assert.equal(chooseBackup(entries, "latest", "my app", "here").stamp, at(3));
    assert.ok(
      entries.every(({ bytes, storedAt }) => bytes === 1 && !Number.isNaN(Date.parse(storedAt))),
    );
  });

  it("finds the parts in all folders, and suspects by where their manifest lies", async () => {
    const store = await makeBucket(service, "folders");
    const at = (day: number) => `2026-11-0${day}T00:00:00`;
    const dump = (day: number, folder?: Folder) => dumpKey("backup", "app", at(day), plain, folder);
    await put(store, [
      dump(1, "monthly"),
      manifestKey("backup", "app", at(1), "monthly"),
      globalsKey("backup", "app", at(1), plain, "monthly"),
      verifiedKey("backup", "app", at(1), "monthly"),
      // Foreseen, and so wholly there.
      dump(2, "suspect"),
      manifestKey("backup", "app", at(2), "suspect"),
      // Found out when it was stored.
      dump(3, "daily"),
      manifestKey("backup", "app", at(3), "suspect"),
      // Neither of the two is the manifest of this one.
      dump(4, "weekly"),
      manifestKey("backup", "app", at(4), "daily"),
      manifestKey("backup", "app_queue", at(4), "weekly"),
    ]);
    const entries = await listBackups(store, "app");
    assert.deepEqual(
      entries.map(({ stamp, tier, suspect, manifestKey: manifest }) => [
        stamp,
        tier,
        suspect,
        manifest,
      ]),
      [
        [at(4), "weekly", false, null],
        [at(3), "daily", true, manifestKey("backup", "app", at(3), "suspect")],
        [at(2), null, true, manifestKey("backup", "app", at(2), "suspect")],
        [at(1), "monthly", false, manifestKey("backup", "app", at(1), "monthly")],
      ],
    );
    const oldest = entries.at(-1);
    assert.equal(oldest?.globalsKey, globalsKey("backup", "app", at(1), plain, "monthly"));
    assert.equal(oldest?.verifiedKey, verifiedKey("backup", "app", at(1), "monthly"));
    assert.equal(chooseBackup(entries, "latest", "app", "here").stamp, at(1));
    assert.equal(chooseBackup(entries, at(3), "app", "here").stamp, at(3));

    // A manifest must say itself what its folder says.
    const moved = manifestOf(dump(3, "daily"), at(3));
    await putBody(store, manifestKey("backup", "app", at(3), "suspect"), JSON.stringify(moved));
    const doubted = entries.find(({ stamp }) => stamp === at(3));
    assert.ok(doubted);
    await assert.rejects(readManifest(store, doubted), problem(/its state is good, expected susp/));
    await putBody(
      store,
      manifestKey("backup", "app", at(1), "monthly"),
      JSON.stringify(manifestOf(dump(1, "monthly"), at(1))),
    );
    const read = await withManifests(store, entries, 50);
    assert.deepEqual(
      read.map(({ manifest }) => manifest?.takenAt ?? null),
      [null, null, null, `${at(1)}Z`],
    );
  });

  it("reads a manifest and refuses one that speaks of another backup", async () => {
    const store = await makeBucket(service, "manifests");
    const stamp = "2026-11-24T03:15:02";
    const key = dumpKey("backup", "app", stamp, plain);
    const good = manifestOf(key, stamp);
    await put(store, [key]);
    const store_ = async (manifest: unknown) => {
      await putBody(store, manifestKey("backup", "app", stamp), JSON.stringify(manifest));
      const [entry] = await listBackups(store, "app");
      assert.ok(entry);
      return readManifest(store, entry);
    };
    assert.deepEqual(await store_(good), good);
    await assert.rejects(
      store_({ ...good, database: "app_queue" }),
      problem(/its database is app_queue/),
    );
    await assert.rejects(
      store_({ ...good, object: { ...good.object, key: "backup/x" } }),
      problem(/its object is backup\/x/),
    );
    await assert.rejects(
      store_({ ...good, object: { ...good.object, bytes: 2 } }),
      problem(/its size is 2, expected 1/),
    );
    await assert.rejects(store_({ ...good, takenAt: "2026-11-24T03:15:03Z" }), problem(/its time/));
    await assert.rejects(store_({ ...good, version: 2 }), problem(/has version 2/));
  });

  it("calls a backup incomplete whose manifest is missing or vanishes", async () => {
    const store = await makeBucket(service, "vanish");
    const stamp = "2026-11-24T03:15:02";
    await put(store, [dumpKey("backup", "app", stamp, plain), manifestKey("backup", "app", stamp)]);
    const [entry] = await listBackups(store, "app");
    assert.ok(entry?.manifestKey);
    await store.client.send(new DeleteObjectCommand({ Bucket: "vanish", Key: entry.manifestKey }));
    await assert.rejects(
      readManifest(store, entry),
      problem(/is incomplete: its manifest is missing/),
    );
    const [later] = await listBackups(store, "app");
    assert.ok(later);
    await assert.rejects(readManifest(store, later), problem(/is incomplete/));
  });

  it("counts no dump of ours without its manifest, whichever way it is packed", async () => {
    const store = await makeBucket(service, "halves");
    const stamp = "2026-11-24T03:15:02";
    for (const compression of ["zstd", "pg_dump-zstd"] as const) {
      for (const encryption of ["none", "age"] as const) {
        await put(store, [dumpKey("backup", "app", stamp, { compression, encryption })]);
      }
    }
    const entries = await listBackups(store, "app");
    assert.equal(entries.length, 4);
    assert(entries.every((entry) => entry.kind === "ours" && !isComplete(entry)));
  });

  it("is empty in an empty bucket", async () => {
    const store = await makeBucket(service, "empty");
    assert.deepEqual(await listBackups(store, "app"), []);
  });
});

describe("chooseBackup", () => {
  const entry = (stamp: string, parts: Partial<CatalogueEntry> = {}): CatalogueEntry => ({
    database: "app",
    stamp,
    key: `backup/app_${stamp}.dump.zst`,
    bytes: 1,
    storedAt: `${stamp}.000Z`,
    kind: "ours",
    manifestKey: `backup/app_${stamp}.manifest.json`,
    suspect: false,
    tier: null,
    globalsKey: null,
    verifiedKey: null,
    ...parts,
  });
  const entries = [
    entry("2026-11-24T03:15:02", { manifestKey: null }),
    entry("2026-11-23T03:15:02"),
    entry("2026-11-22T03:15:02", { kind: "legacy", manifestKey: null, key: "backup/app.dump" }),
    entry("2026-11-22T03:15:02"),
    entry("2026-11-21T03:15:02"),
    entry("2026-11-20T03:15:02"),
  ];
  const choose = (wanted: string, from = entries) =>
    chooseBackup(from, wanted, "app", "s3://b/backup");

  it("takes the newest complete one as latest", () => {
    assert.equal(choose("latest"), entries[1]);
    assert.equal(choose("latest", entries.toReversed()), entries[1]);
  });

  it("takes the named one, with or without Z, ours before an old one", () => {
    assert.equal(choose("2026-11-21T03:15:02"), entries[4]);
    assert.equal(choose("2026-11-22T03:15:02Z"), entries[3]);
  });

  it("refuses with what is there instead", () => {
    const refusals: [string, CatalogueEntry[], RegExp][] = [
      ["latest", [], /^no backup of app in s3:\/\/b\/backup\. Take one/],
      ["latest", entries.slice(0, 1), /\(1 without a manifest are incomplete\)/],
      ["2026-11-24T03:15:02", entries, /2026-11-24T03:15:02\.dump\.zst is incomplete/],
      [
        "2026-11-22T03:00:00",
        entries,
        /no backup of app from 2026-11-22T03:00:00.*nearest are 2026-11-22T03:15:02, 2026-11-21T03:15:02, 2026-11-23T03:15:02\./,
      ],
      ["2026-11-22T03:00:00", [], /There is none at all/],
      ["yesterday", entries, /"yesterday" is no time of a backup/],
      ["2026-11-22", entries, /is no time of a backup/],
    ];
    for (const [wanted, from, message] of refusals) {
      assert.throws(() => choose(wanted, from), problem(message));
    }
  });
});

async function put(store: Store, keys: readonly string[]): Promise<void> {
  const queue = [...keys];
  const work = async () => {
    for (let key = queue.pop(); key !== undefined; key = queue.pop())
      await putBody(store, key, "x");
  };
  await Promise.all(Array.from({ length: 12 }, work));
}

async function putBody(store: Store, key: string, body: string): Promise<void> {
  await store.client.send(
    new PutObjectCommand({ Bucket: store.address.bucket, Key: key, Body: body }),
  );
}

function manifestOf(key: string, stamp: string): Manifest {
  return {
    version: 1,
    database: "app",
    takenAt: `${stamp}Z`,
    object: { key, bytes: 1, sha256: "0".repeat(64) },
    format: "pg_dump-custom",
    compression: "zstd",
    encryption: "none",
    globals: null,
    recipients: [],
    tier: null,
    suspect: null,
    server: { version: "17.6", major: 17, systemIdentifier: null, lsn: null },
    pgDump: "pg_dump (PostgreSQL) 17.6",
    databaseBytes: 1,
    tables: [],
    largeObjects: 0,
    durationMs: 1,
  };
}
