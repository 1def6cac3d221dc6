import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { listBackups, listDatabases } from "../../../storage/catalogue/catalogue.ts";
import { isComplete } from "../../../storage/catalogue/catalogueEntry.ts";
import {
  deployKey,
  dumpKey,
  type Folder,
  globalsKey,
  manifestKey,
  stampOf,
  verifiedKey,
} from "../../../storage/catalogue/objectKeys.ts";
import { readManifest, withManifests } from "../../../storage/catalogue/readManifest.ts";
import { chooseBackup } from "../../../storage/catalogue/selectBackup.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore, serviceError } from "../../support/memoryStore.ts";

const plain = { compression: "zstd", encryption: "none" } as const;
const problem = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "Problem", error.stack);
  assert.match(error.message, message);
  return true;
};

describe("catalogue", () => {
  it("finds the newest of 1,050 backups and none of another database", async () => {
    const store = new MemoryStore();
    const stamps = Array.from({ length: 1_050 }, (_, i) =>
      stampOf(new Date(Date.UTC(2026, 0, 1) + i * 3_600_000)),
    );
    const keys = stamps.flatMap((stamp) => [
      dumpKey("backup", "app_production", stamp, plain),
      manifestKey("backup", "app_production", stamp),
    ]);
    const queue = dumpKey("backup", "app_production_queue", "2030-01-01T00:00:00", plain);
    put(store, [
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

  it("knows before which deploys a backup was taken, by the marks beside its dump", async () => {
    const store = new MemoryStore();
    const [stamp, other] = ["2026-11-24T03:15:02", "2026-11-23T03:15:02"];
    const marks = [
      deployKey("backup", "app", stamp, "1f2e3d4", "daily"),
      deployKey("backup", "app", stamp, "v2", "daily"),
    ];
    put(store, [
      dumpKey("backup", "app", stamp, plain, "daily"),
      manifestKey("backup", "app", stamp, "daily"),
      dumpKey("backup", "app", other, plain),
      manifestKey("backup", "app", other),
      deployKey("backup", "app_queue", other, "v3"),
      deployKey("backup", "app", other, "v4", "weekly"),
      ...marks,
    ]);
    const [marked, plainOne] = await listBackups(store, "app");
    assert.deepEqual(marked?.deploys, [
      { revision: "1f2e3d4", key: marks[0] },
      { revision: "v2", key: marks[1] },
    ]);
    assert.equal(plainOne?.deploys, undefined);
    assert.deepEqual(await listDatabases(store), ["app"]);
  });

  it("keeps databases with odd names apart", async () => {
    const store = new MemoryStore();
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
    put(
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
    const store = new MemoryStore();
    const at = (day: number) => `2026-11-0${day}T00:00:00`;
    put(store, [
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
    const store = new MemoryStore();
    const at = (day: number) => `2026-11-0${day}T00:00:00`;
    const dump = (day: number, folder?: Folder) => dumpKey("backup", "app", at(day), plain, folder);
    put(store, [
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
    store.set(manifestKey("backup", "app", at(3), "suspect"), JSON.stringify(moved));
    const doubted = entries.find(({ stamp }) => stamp === at(3));
    assert.ok(doubted);
    await assert.rejects(readManifest(store, doubted), problem(/its state is good, expected susp/));
    store.set(
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
    const store = new MemoryStore();
    const stamp = "2026-11-24T03:15:02";
    const key = dumpKey("backup", "app", stamp, plain);
    const good = manifestOf(key, stamp);
    put(store, [key]);
    const store_ = async (manifest: unknown) => {
      store.set(manifestKey("backup", "app", stamp), JSON.stringify(manifest));
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
      problem(/has 1 bytes, its manifest says 2: its size/),
    );
    await assert.rejects(store_({ ...good, takenAt: "2026-11-24T03:15:03Z" }), problem(/its time/));
    await assert.rejects(store_({ ...good, version: 2 }), problem(/has version 2/));
  });

  it("calls a backup incomplete whose manifest is missing or vanishes", async () => {
    const store = new MemoryStore();
    const stamp = "2026-11-24T03:15:02";
    put(store, [dumpKey("backup", "app", stamp, plain), manifestKey("backup", "app", stamp)]);
    const [entry] = await listBackups(store, "app");
    assert.ok(entry?.manifestKey);
    await store.delete(entry.manifestKey);
    await assert.rejects(
      readManifest(store, entry),
      problem(/is incomplete: its manifest is missing/),
    );
    const [later] = await listBackups(store, "app");
    assert.ok(later);
    await assert.rejects(readManifest(store, later), problem(/is incomplete/));
  });

  it("counts no dump of ours without its manifest, whichever way it is packed", async () => {
    const store = new MemoryStore();
    const stamp = "2026-11-24T03:15:02";
    for (const compression of ["zstd", "pg_dump-zstd"] as const) {
      for (const encryption of ["none", "age"] as const) {
        put(store, [dumpKey("backup", "app", stamp, { compression, encryption })]);
      }
    }
    const entries = await listBackups(store, "app");
    assert.equal(entries.length, 4);
    assert(entries.every((entry) => entry.kind === "ours" && !isComplete(entry)));
  });

  it("is empty in an empty bucket", async () => {
    const store = new MemoryStore();
    assert.deepEqual(await listBackups(store, "app"), []);
    assert.deepEqual(await listDatabases(store), []);
  });

  it("names the databases that have a dump, each once and sorted", async () => {
    const store = new MemoryStore();
    const stamp = "2026-11-24T03:15:02";
    put(store, [
      dumpKey("backup", "b/c", stamp, plain, "weekly"),
      dumpKey("backup", "b/c", "2026-11-25T03:15:02", plain),
      dumpKey("backup", "app", stamp, plain, "suspect"),
      `backup/old one_${stamp}.dump.gpg`,
      manifestKey("backup", "manifest only", stamp),
      `elsewhere/other_${stamp}.dump`,
      "backup/.probe-1",
    ]);
    assert.deepEqual(await listDatabases(store), ["app", "b/c", "old one"]);
  });

  it("of two dumps of one second the good one comes first, then the suspect one, then the half", async () => {
    const store = new MemoryStore();
    const stamp = "2026-11-24T03:15:02";
    const at = (folder: Folder) => dumpKey("backup", "app", stamp, plain, folder);
    put(store, [`backup/app_${stamp}.dump`, at("daily"), at("weekly")]);
    put(store, [at("suspect"), manifestKey("backup", "app", stamp, "weekly")]);
    const keys = async () => (await listBackups(store, "app")).map(({ key }) => key);
    assert.deepEqual(await keys(), [
      at("weekly"),
      `backup/app_${stamp}.dump`,
      at("daily"),
      at("suspect"),
    ]);
  });

  it("tells what it was about when the service refuses, and keeps the refusal as the cause", async () => {
    const store = new MemoryStore().deny("list");
    const refused = (what: RegExp) => (error: Error) => {
      assert.match(error.message, what);
      assert.equal((error.cause as Error).name, "AccessDenied");
      return problem(/the access key may not do this in memory\/backup/)(error);
    };
    await assert.rejects(listBackups(store, "app"), refused(/^cannot list the backups of app: /));
    await assert.rejects(listDatabases(store), refused(/^cannot list the backups of every data/));
  });

  it("reads the manifests of the first few, and one that cannot be read hides no other", async () => {
    const store = new MemoryStore();
    const stamps = Array.from({ length: 12 }, (_, i) => `2026-11-${10 + i}T00:00:00`);
    for (const stamp of stamps) {
      const key = dumpKey("backup", "app", stamp, plain);
      put(store, [key]);
      store.set(manifestKey("backup", "app", stamp), JSON.stringify(manifestOf(key, stamp)));
    }
    store.set(manifestKey("backup", "app", stamps[10] ?? ""), "{");
    const entries = await listBackups(store, "app");
    store.requests.length = 0;
    const read = await withManifests(store, entries, 10);
    assert.equal(store.requests.length, 10);
    assert.deepEqual(
      read.map(({ manifest }) => manifest?.takenAt ?? null),
      stamps.toReversed().map((stamp, i) => (i === 1 || i >= 10 ? null : `${stamp}Z`)),
    );
    store.fail("get", new TypeError("a defect"));
    await assert.rejects(withManifests(store, entries, 10), { name: "TypeError" });
    store.fail("get", serviceError("AccessDenied", 403));
    const blind = await withManifests(store, entries, 10);
    assert.ok(blind.every(({ manifest }) => manifest === null));
  });

  it("keeps the newest manifests of a database with very many tables, and no more than memory has room for", async () => {
    const store = new MemoryStore();
    const tables = Array.from({ length: 110_000 }, (_, i) => ({
      ...{ schema: "public", name: `t${i}`, rows: 1, exact: true },
    }));
    for (let day = 1; day <= 3; day += 1) {
      const stamp = `2026-01-0${day}T00:00:00`;
      const key = dumpKey("backup", "app", stamp, plain);
      const object = { key, bytes: 1, sha256: String(day).padStart(64, "0") };
      const manifest = backupManifest({ ...plain, takenAt: `${stamp}Z`, object, tables });
      store.set(key);
      store.set(manifestKey("backup", "app", stamp), JSON.stringify(manifest));
    }
    const read = await withManifests(store, await listBackups(store, "app"), 10);
    // 200,000 tables, and the manifest with which it was more.
    assert.equal(read.filter(({ manifest }) => manifest !== null).length, 2);
    assert.ok(read.every(({ notice }) => notice === undefined));
  });
});

describe("a bucket without an end", () => {
  const nth = (n: number) => stampOf(new Date(1.6e12 + n * 1000));

  it("is not read into memory: a sentence that names the folder, and the first databases", async () => {
    const store = new MemoryStore().crowd((n) => dumpKey("backup", "app", nth(n), plain));
    await assert.rejects(
      listBackups(store, "app"),
      problem(/^more than 100000 objects in s3:\/\/memory\/backup are named like backups of app/),
    );
    const others = new MemoryStore().crowd((n) => dumpKey("backup", `app${n}`, nth(n), plain));
    assert.equal((await listDatabases(others)).length, 10_000);
  });
});

function put(store: MemoryStore, keys: readonly string[]): void {
  for (const key of keys) store.set(key);
}

function manifestOf(key: string, stamp: string): Manifest {
  return backupManifest({
    takenAt: `${stamp}Z`,
    object: { key, bytes: 1, sha256: "0".repeat(64) },
  });
}
