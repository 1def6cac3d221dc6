// tag: cloud
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aws, matchHost, other, providers } from "../../../storage/address/providers.ts";
import { cleanCredentials } from "../../../storage/s3/credentials.ts";
import { partBytesFor } from "../../../storage/upload/partSize.ts";

const MiB = 1024 * 1024;
const provider = (name: string) => {
  const found = providers.find((row) => row.name === name);
  assert.ok(found, name);
  return found;
};

describe("matchHost", () => {
  const hosts: [host: string, provider: string, region: string | undefined][] = [
    ["s3.eu-west-3.amazonaws.com", "AWS", "eu-west-3"],
    ["s3-eu-west-1.amazonaws.com", "AWS", "eu-west-1"],
    ["s3.dualstack.us-gov-west-1.amazonaws.com", "AWS", "us-gov-west-1"],
    ["s3.cn-north-1.amazonaws.com.cn", "AWS", "cn-north-1"],
    ["s3.amazonaws.com", "AWS", undefined],
    ["s3.pl-waw.scw.cloud", "Scaleway", "pl-waw"],
    ["nyc3.digitaloceanspaces.com", "DigitalOcean Spaces", "nyc3"],
    ["hel1.your-objectstorage.com", "Hetzner", "hel1"],
    [`${"ab".repeat(16)}.r2.cloudflarestorage.com`, "Cloudflare R2", undefined],
    [`${"ab".repeat(16)}.fedramp.r2.cloudflarestorage.com`, "Cloudflare R2", undefined],
    ["s3.eu-central-003.backblazeb2.com", "Backblaze B2", "eu-central-003"],
    ["s3.ap-northeast-1.wasabisys.com", "Wasabi", "ap-northeast-1"],
    ["s3.wasabisys.com", "Wasabi", undefined],
    ["s3.gra.io.cloud.ovh.net", "OVHcloud", "gra"],
    ["s3.eu-west-par.io.cloud.ovh.net", "OVHcloud", "eu-west-par"],
    ["us-iad-10.linodeobjects.com", "Linode", undefined],
    ["sos-ch-gva-2.exo.io", "Exoscale", "ch-gva-2"],
    ["s3.eu-central-1.ionoscloud.com", "IONOS", "de"],
    ["s3.us-central-1.ionoscloud.com", "IONOS", "us-central-1"],
    ["ewr1.vultrobjects.com", "Vultr", undefined],
    ["t3.storage.dev", "Tigris", undefined],
    ["fly.storage.tigris.dev", "Tigris", undefined],
  ];
  for (const [host, name, region] of hosts) {
    it(host, () => {
      const bare = matchHost(host);
      assert.deepEqual(
        [bare?.provider.name, bare?.service, bare?.bucket, bare?.region],
        [name, host, undefined, region],
      );
      const withBucket = matchHost(`my.bkt-1.${host}`);
      assert.deepEqual(
        [withBucket?.provider.name, withBucket?.service, withBucket?.bucket, withBucket?.region],
        [name, host, "my.bkt-1", region],
      );
    });
  }

  it("has a case for each row", () => {
    assert.deepEqual(
      [...new Set(hosts.map(([, name]) => name))],
      providers.map(({ name }) => name),
    );
  });

  it("knows no host that only ends alike", () => {
    for (const host of ["minio.example.org", "s3.fr-par.scw.cloud.example.org", "localhost"]) {
      assert.equal(matchHost(host), undefined, host);
    }
  });
});

describe("partBytesFor", () => {
  it("is 5 MiB while the parts suffice", () => {
    assert.equal(partBytesFor(aws, 0), 5 * MiB);
    assert.equal(partBytesFor(aws, 36 * 1024 * MiB), 5 * MiB);
    assert.equal(partBytesFor(provider("Scaleway"), 3 * 1024 * MiB), 5 * MiB);
  });

  it("always leaves room for a fifth more than the estimate", () => {
    for (const row of [other, ...providers]) {
      for (const gib of [1, 7, 20, 100, 500, 2000]) {
        const estimate = gib * 1024 * MiB;
        const part = partBytesFor(row, estimate);
        assert.ok(part * row.maxParts >= 1.2 * estimate, `${row.name} ${gib}`);
        assert.equal(part % MiB, 0);
      }
    }
  });

  it("grows sooner where only 1,000 parts are taken", () => {
    assert.equal(partBytesFor(provider("Scaleway"), 100 * 1024 * MiB), 137 * MiB);
    assert.equal(partBytesFor(aws, 100 * 1024 * MiB), 14 * MiB);
  });
});

describe("cleanCredentials", () => {
  const keys = { accessKeyId: "SCWEXAMPLE", secretAccessKey: "top-hidden" };

  it("leaves clean keys alone", () => {
    assert.deepEqual(cleanCredentials(keys, provider("Scaleway")), { ...keys, notices: [] });
  });

  it("takes blanks, quotes and line ends off, and says so without the key", () => {
    for (const secretAccessKey of [
      " top-hidden",
      "top-hidden\n",
      '"top-hidden"',
      "' top-hidden '\r\n",
    ]) {
      const cleaned = cleanCredentials({ ...keys, secretAccessKey });
      assert.equal(cleaned.secretAccessKey, "top-hidden");
      assert.equal(cleaned.notices.length, 1);
      assert.match(cleaned.notices[0] ?? "", /^S3_SECRET_ACCESS_KEY had blanks/);
      assert.doesNotMatch(cleaned.notices.join(), /hidden/);
    }
  });

  it("warns of a key of another provider", () => {
    const { notices } = cleanCredentials(keys, aws);
    assert.match(notices.join(), /does not look like a key of AWS/);
  });

  it("refuses an empty key, white space inside, and R2's token value", () => {
    const refuse = (given: Partial<typeof keys>, message: RegExp, row = aws) =>
      assert.throws(
        () => cleanCredentials({ ...keys, ...given }, row),
        (error: Error) => {
          assert.equal(error.name, "Problem");
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /hidden/);
          return true;
        },
      );
    refuse({ accessKeyId: " " }, /S3_ACCESS_KEY_ID is empty/);
    refuse({ secretAccessKey: "top\nhidden" }, /blank or line end inside/);
    refuse({}, /64 hexadecimal digits/, provider("Cloudflare R2"));
  });
});
