import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  deployKey,
  dumpKey,
  FOLDERS,
  globalsKey,
  indexKey,
  isStamp,
  legacyStem,
  manifestKey,
  parseKey,
  stampOf,
  stem,
  type Treatment,
  verifiedKey,
} from "../../../storage/catalogue/objectKeys.ts";

const names = [
  "app",
  "app_production",
  "app_production_queue",
  "App Production",
  'say "hi"',
  "it's",
  "a/b",
  "../up",
  "back\\slash",
  "Zürich",
  "数据",
  "emoji 🐘",
  "percent%20",
  "100%",
  "a.dump",
  "a_2026-11-24T03:15:02.dump",
  "a_2026-11-24T03:15:02",
  "a_2026-11-24T03:15:02.manifest.json",
  "_",
  " ",
  "*",
  "(x)!~'",
  "new\nline",
];
const treatments: Treatment[] = (["zstd", "pg_dump-zstd"] as const).flatMap((compression) =>
  (["none", "age"] as const).map((encryption) => ({ compression, encryption })),
);
const stamp = "2026-11-24T03:15:02";

describe("keys", () => {
  it("have the agreed form", () => {
    assert.equal(
      dumpKey("backup", "shop_production", stamp, { compression: "zstd", encryption: "none" }),
      "backup/shop_production_2026-11-24T03:15:02.dump.zst",
    );
    assert.equal(
      dumpKey("a/b", "My App", stamp, { compression: "zstd", encryption: "age" }),
      "a/b/My%20App_2026-11-24T03:15:02.dump.zst.age",
    );
    assert.equal(
      dumpKey("backup", "app", stamp, { compression: "pg_dump-zstd", encryption: "none" }),
      "backup/app_2026-11-24T03:15:02.pgdump",
    );
    assert.equal(
      dumpKey("backup", "app", stamp, { compression: "pg_dump-zstd", encryption: "age" }, "daily"),
      "backup/daily/app_2026-11-24T03:15:02.pgdump.age",
    );
    assert.equal(
      manifestKey("backup", "a/b", stamp),
      "backup/a%2Fb_2026-11-24T03:15:02.manifest.json",
    );
  });

  it("read back as what was written, for every name", () => {
    for (const database of names) {
      for (const treatment of treatments) {
        const key = dumpKey("p/q", database, stamp, treatment);
        assert.deepEqual(parseKey("p/q", key), {
          kind: "ours",
          database,
          stamp,
          folder: null,
          encryption: treatment.encryption,
        });
        assert.ok(key.startsWith(stem("p/q", database)));
      }
      const key = manifestKey("p/q", database, stamp);
      assert.deepEqual(parseKey("p/q", key), { kind: "manifest", database, stamp, folder: null });
    }
  });

  it("in the folders, with everything beside a dump, read back too", () => {
    const age = { encryption: "age" } as const;
    assert.equal(
      globalsKey("p", "a/b", stamp, age, "weekly"),
      `p/weekly/a%2Fb_${stamp}.globals.sql.zst.age`,
    );
    assert.equal(verifiedKey("p", "app", stamp, "daily"), `p/daily/app_${stamp}.verified.json`);
    for (const database of names) {
      for (const folder of FOLDERS) {
        const place = { database, stamp, folder };
        for (const treatment of treatments) {
          const { encryption } = treatment;
          const key = dumpKey("p/q", database, stamp, treatment, folder);
          assert.deepEqual(parseKey("p/q", key), { kind: "ours", ...place, encryption });
          if (treatment.compression === "pg_dump-zstd") {
            assert.deepEqual(parseKey("p/q", indexKey(key)), { kind: "index", ...place });
          }
          const globals = globalsKey("p/q", database, stamp, treatment, folder);
          assert.deepEqual(parseKey("p/q", globals), { kind: "globals", ...place });
          assert.ok(globals.startsWith(stem("p/q", database, folder)));
        }
        const manifest = manifestKey("p/q", database, stamp, folder);
        assert.deepEqual(parseKey("p/q", manifest), { kind: "manifest", ...place });
        const verified = verifiedKey("p/q", database, stamp, folder);
        assert.deepEqual(parseKey("p/q", verified), { kind: "verified", ...place });
        const mac = "0123456789abcdef".repeat(2);
        const signed = verifiedKey("p/q", database, stamp, folder, mac);
        assert.deepEqual(parseKey("p/q", signed), { kind: "verified", mac, ...place });
        for (const revision of ["1f2e3d4", "v1.2_uncommitted-9", "a.manifest.json"]) {
          const mark = deployKey("p/q", database, stamp, revision, folder);
          assert.deepEqual(parseKey("p/q", mark), { kind: "deploy", revision, ...place });
          const own = deployKey("p/q", database, stamp, revision, folder, mac);
          assert.deepEqual(parseKey("p/q", own), { kind: "deploy", revision, mac, ...place });
        }
      }
    }
  });

  it("of different backups differ", () => {
    const keys = names.flatMap((database) => [
      manifestKey("p", database, stamp),
      ...treatments.map((treatment) => dumpKey("p", database, stamp, treatment)),
    ]);
    assert.equal(new Set(keys).size, keys.length);
  });

  it("of the old image are read with the name as it is", () => {
    for (const database of names) {
      for (const [suffix, encryption] of [
        ["dump", "none"],
        ["dump.gpg", "gpg"],
      ] as const) {
        const key = `${legacyStem("p", database)}${stamp}.${suffix}`;
        assert.deepEqual(parseKey("p", key), { kind: "legacy", database, stamp, encryption });
      }
    }
  });

  it("that are no backups are left alone", () => {
    const foreign = [
      "p/.probe-1",
      "p/app",
      "p/app_latest.dump.zst",
      "p/app_2026-11-24T03:15.dump.zst",
      "p/app_2026-13-24T03:15:02.dump.zst",
      "p/app_2026-02-30T03:15:02.dump",
      "p/app_2026-11-24T03:15:02.dump.zst.part",
      "p/app_2026-11-24T03:15:02.dump.gz",
      "p/app_2026-11-24T03:15:02.dump.age",
      "p/app_2026-11-24T03:15:02.pgdump.gpg",
      "p/_2026-11-24T03:15:02.dump.zst",
      "p/app_2026-11-24T03:15:02.before-deploy..json",
      "p/app_2026-11-24T03:15:02.verified.signed-1f2e.json",
      "p/app_2026-11-24T03:15:02.before-deploy.a b.json",
      "p/my app_2026-11-24T03:15:02.dump.zst",
      "p/%zz_2026-11-24T03:15:02.dump.zst",
      "p/sub/app_2026-11-24T03:15:02.dump.zst",
      "other/app_2026-11-24T03:15:02.dump.zst",
      "pp/app_2026-11-24T03:15:02.dump.zst",
    ];
    for (const key of foreign) assert.equal(parseKey("p", key), undefined, key);
  });

  it("carry the UTC second", () => {
    assert.equal(stampOf(new Date("2026-11-24T05:15:02.987+02:00")), stamp);
    assert.ok(isStamp(stamp));
    for (const text of ["latest", "2026-11-24", "2026-11-24T24:00:00", `${stamp}Z`, ""]) {
      assert.equal(isStamp(text), false, text);
    }
  });
});
