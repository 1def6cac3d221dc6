import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type AddressInput, parseAddress } from "../../storage/address/address.ts";
import { matchHost } from "../../storage/address/providers.ts";
import {
  dumpKey,
  FOLDERS,
  globalsKey,
  legacyStem,
  manifestKey,
  parseKey,
  stampOf,
  stem,
  verifiedKey,
} from "../../storage/catalogue/objectKeys.ts";

/** A database's name: whatever PostgreSQL takes, which is anything but nothing, a NUL and half a character. */
const database = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter((name) => !name.includes("\0") && name.isWellFormed());
const stamp = fc
  .date({ min: new Date("1970-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
  .map(stampOf);
const folder = fc.constantFrom(...FOLDERS);
const treatment = fc.record({
  compression: fc.constantFrom("zstd" as const, "pg_dump-zstd" as const),
  encryption: fc.constantFrom("none" as const, "age" as const),
});
const segment = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
const prefix = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

describe("for any backup, a key that is made and read again says the same", () => {
  it("of the dump and of what lies beside it", () => {
    fc.assert(
      fc.property(prefix, database, stamp, treatment, folder, (at, name, when, how, where) => {
        const place = { database: name, stamp: when, folder: where };
        const { encryption } = how;
        const keys = {
          dump: dumpKey(at, name, when, how, where),
          manifest: manifestKey(at, name, when, where),
          globals: globalsKey(at, name, when, how, where),
          verified: verifiedKey(at, name, when, where),
        };
        assert.deepEqual(parseKey(at, keys.dump), { kind: "ours", ...place, encryption });
        for (const kind of ["manifest", "globals", "verified"] as const) {
          assert.deepEqual(parseKey(at, keys[kind]), { kind, ...place });
        }
        const all = Object.values(keys);
        assert.equal(new Set(all).size, all.length);
        for (const key of all) assert.ok(key.startsWith(stem(at, name, where)));
      }),
    );
  });

  it("of the old image's, which writes the name as it is", () => {
    fc.assert(
      fc.property(prefix, database, stamp, fc.boolean(), (at, name, when, gpg) => {
        const key = `${legacyStem(at, name)}${when}.dump${gpg ? ".gpg" : ""}`;
        const encryption = gpg ? "gpg" : "none";
        assert.deepEqual(parseKey(at, key), {
          kind: "legacy",
          database: name,
          stamp: when,
          encryption,
        });
      }),
    );
  });

  it("two different backups never share a key", () => {
    const backup = fc.tuple(database, stamp, treatment, folder);
    fc.assert(
      fc.property(prefix, backup, backup, (at, a, b) => {
        const same = dumpKey(at, ...a) === dumpKey(at, ...b);
        assert.equal(same, JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it("a text that is read as a key of ours is the only spelling of it", () => {
    const soup = fc.string({
      unit: fc.constantFrom("a", "%", "2", "F", "_", "/", ".", "ü"),
      maxLength: 12,
    });
    fc.assert(
      fc.property(soup, stamp, (name, when) => {
        const key = `p/${name}_${when}.dump.zst`;
        const parsed = parseKey("p", key);
        if (parsed?.kind !== "ours") return;
        const plain = { compression: "zstd", encryption: "none" } as const;
        assert.equal(dumpKey("p", parsed.database, parsed.stamp, plain, parsed.folder), key);
      }),
    );
  });
});

const bucket = fc
  .stringMatching(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/)
  .filter((name) => !/^(s3|minio|storage|objects?|oss|rgw|ceph|garage)$/.test(name));
const cloud: fc.Arbitrary<Pick<AddressInput, "endpoint" | "region">> = fc.constantFrom(
  { endpoint: "https://s3.eu-west-3.amazonaws.com", region: "eu-west-3" },
  { endpoint: "https://s3.fr-par.scw.cloud", region: "fr-par" },
  { endpoint: "https://fra1.digitaloceanspaces.com", region: "fra1" },
  { endpoint: "https://fsn1.your-objectstorage.com", region: "fsn1" },
  { endpoint: `https://${"0a".repeat(16)}.eu.r2.cloudflarestorage.com`, region: "auto" },
  { endpoint: "https://s3.eu-central-003.backblazeb2.com", region: "eu-central-003" },
  { endpoint: "https://s3.eu-central-1.ionoscloud.com", region: "de" },
  { endpoint: "https://s3.gra.io.cloud.ovh.net", region: "gra" },
);
const own: fc.Arbitrary<Pick<AddressInput, "endpoint" | "region">> = fc
  .tuple(fc.constantFrom("s3", "minio", "storage"), fc.integer({ min: 1024, max: 65_535 }), segment)
  .map(([host, port, region]) => ({
    endpoint: `https://${host}.example.org:${port}`,
    region: region.replaceAll(".", "-"),
  }));

describe("for any address", () => {
  it("what was understood is understood as the same once more, without a word", () => {
    fc.assert(
      fc.property(fc.oneof(cloud, own), bucket, prefix, (service, name, at) => {
        const address = parseAddress({ ...service, bucket: name, prefix: at });
        const { endpoint, region, prefix: folderOf } = address;
        assert.deepEqual(
          [endpoint, region, address.bucket, folderOf],
          [service.endpoint, service.region, name, at],
        );
        assert.deepEqual(
          parseAddress({ endpoint, region, bucket: address.bucket, prefix: at }),
          address,
        );
        assert.deepEqual(address.notices, []);
      }),
    );
  });

  it("however a console writes the bucket, it is the same address", () => {
    fc.assert(
      fc.property(fc.oneof(cloud, own), bucket, prefix, (service, name, at) => {
        const plain = parseAddress({ ...service, bucket: name, prefix: at });
        const url = new URL(service.endpoint ?? "");
        const inHost = `https://${name}.${url.host}`;
        const forms: Partial<AddressInput>[] = [
          { endpoint: `${url.origin}/` },
          { endpoint: `${url.origin}/${name}` },
          { endpoint: `${url.origin}/${name}/` },
          { endpoint: inHost },
          { endpoint: inHost, bucket: `${name}.${url.hostname}` },
          { bucket: ` ${name} `, prefix: `/${at}//` },
          { endpoint: `${url.origin}/${name}`, bucket: "" },
          ...(matchHost(url.hostname) ? [{ region: "", bucket: `${name}.${url.hostname}` }] : []),
        ];
        for (const form of forms) {
          const given = { ...service, bucket: name, prefix: at, ...form };
          if (
            given.region === "" &&
            matchHost(url.hostname)?.region === undefined &&
            !plain.provider.fixedRegion
          )
            continue;
          const { notices: _, ...address } = parseAddress(given);
          const { notices: _none, ...expected } = plain;
          assert.deepEqual(address, expected, JSON.stringify(given));
        }
      }),
    );
  });
});
