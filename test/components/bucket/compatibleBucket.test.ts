// tag: cloud
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type * as Components from "../../../components/index.ts";
import { type Declared, declare, inputs, isSecret, plainText, sids } from "../mocks.ts";

const SECRET = "the-administrator's-secret-key";
const WRITER = "the-writer's-secret-key";
let components: typeof Components;
before(async () => {
  components = await import("../../../components/index.ts");
});

function elsewhere(
  args: Partial<Components.S3CompatibleBucketArgs> = {},
  preview = false,
): Promise<Declared[]> {
  const { S3CompatibleBucket, Retention } = components;
  return declare(preview, () => {
    const bucket = new S3CompatibleBucket("shop", {
      name: "shop-backups",
      endpoint: "https://s3.fr-par.scw.cloud",
      region: "fr-par",
      retention: Retention.days(30),
      administrator: { accessKeyId: "SCWADMIN", secretAccessKey: pulumi.secret(SECRET) },
      writer: { accessKeyId: "SCWWRITER", secretAccessKey: WRITER },
      ...args,
    });
    const { versioning, lifecycle, policy, publicAccessBlock, lock } = bucket;
    const parts = [versioning, lifecycle, policy, publicAccessBlock, lock];
    return [bucket.bucketName, ...parts.flatMap((part) => (part ? [part.urn] : []))];
  });
}

describe("S3CompatibleBucket", () => {
  it("asks of Scaleway what Scaleway can do", async () => {
    const declared = await elsewhere({ lock: { mode: "governance", days: 3 } });
    assert.deepEqual(declared.map(({ type }) => type.split(":").at(-1)).toSorted(), [
      "S3Bucket",
      "S3BucketLifecycleConfiguration",
      "S3BucketObjectLock",
      "S3BucketVersioning",
      "S3CompatibleBucket",
    ]);
    assert.equal(inputs(declared, ":S3Bucket")["objectLock"], true);
    for (const { name } of declared) assert.match(name, /^shop/);
  });

  it("asks of an unknown service for everything, or for what the program says it can", async () => {
    const there = { endpoint: "https://s3.example.com", region: "x" };
    const types = async (args: Partial<Components.S3CompatibleBucketArgs>) =>
      (await elsewhere({ ...there, ...args })).map(({ type }) => type.split(":").at(-1));
    assert.ok((await types({})).includes("S3BucketPublicAccessBlock"));
    assert.ok(!(await types({ service: "minio" })).includes("S3BucketPublicAccessBlock"));
    const without = await types({ abilities: { bucketPolicy: false } });
    assert.ok(!without.includes("S3BucketPolicy"));
  });

  it("refuses plain http by policy, where it is not the way in itself", async () => {
    const policyAt = async (endpoint: string) =>
      sids(
        inputs(await elsewhere({ endpoint, region: "x", service: "ceph" }), ":S3BucketPolicy")[
          "policy"
        ],
      );
    assert.deepEqual(await policyAt("https://s3.example.com"), ["TlsOnly", "NoCustomerKeys"]);
    assert.deepEqual(await policyAt("http://127.0.0.1:8333"), ["NoCustomerKeys"]);
  });

  it("hands a transform to each child, and nothing of it changes how the bucket is reached", async () => {
    const declared = await elsewhere({
      endpoint: "https://s3.example.com",
      region: "x",
      tags: { team: "data" },
      lock: { mode: "governance", days: 3 },
      transform: {
        bucket: { versioned: false },
        versioning: { status: "Suspended" },
        lifecycle: ({ rules }) => ({ rules: rules.slice(0, 1) }),
        publicAccessBlock: { ignorePublicAcls: false },
        policy: { policy: "{}" },
        lock: ({ mode }) => ({ mode, days: 4 }),
        tagging: ({ tags }) => ({ tags: { ...tags, stage: "test" } }),
      },
    });
    const of = (type: string) => inputs(declared, `:S3Bucket${type}`);
    assert.equal(of("")["versioned"], false);
    assert.equal(of("Versioning")["status"], "Suspended");
    assert.deepEqual(
      (of("LifecycleConfiguration")["rules"] as { id: string }[]).map(({ id }) => id),
      ["expire@kamal-postgres-backup-test-shop"],
    );
    assert.equal(of("PublicAccessBlock")["ignorePublicAcls"], false);
    assert.equal(of("Policy")["policy"], "{}");
    assert.equal(of("ObjectLock")["days"], 4);
    assert.deepEqual(of("Tagging")["tags"], { team: "data", stage: "test" });
    for (const { type, inputs: given } of declared) {
      if (type.startsWith("pulumi-nodejs:")) assert.ok(isSecret(given["connection"]), type);
    }
  });

  for (const preview of [false, true]) {
    it(`hands no key to the engine in plain, ${preview ? "at preview" : "in an update"}`, async () => {
      const declared = await elsewhere({}, preview);
      for (const { inputs: given, type, custom } of declared.map((d) => ({
        ...d,
        custom: d.type.startsWith("pulumi-nodejs:"),
      }))) {
        const text = plainText(given);
        assert.ok(!text.includes(SECRET) && !text.includes(WRITER), `${type}: ${text}`);
        if (custom) assert.ok(isSecret(given["connection"]), type);
      }
    });
  }

  const refused: Record<string, [Partial<Components.S3CompatibleBucketArgs>, RegExp]> = {
    "a lock where there is none": [
      {
        endpoint: "https://nyc3.digitaloceanspaces.com",
        region: "nyc3",
        lock: { mode: "governance", days: 3 },
      },
      /lock: DigitalOcean Spaces has no Object Lock/,
    ],
    "tags where there are none": [
      {
        endpoint: "https://fsn1.your-objectstorage.com",
        region: "fsn1",
        tags: { team: "data" },
      },
      /tags: Hetzner has no tags for buckets/,
    ],
    "to adopt without the folder": [{ adopt: true }, /prefix: give the folder .*adopt/],
    "a region of another place": [
      { region: "nl-ams" },
      /^Error: endpoint says fr-par, region says nl-ams\./,
    ],
    "a name that no bucket can have": [
      { name: "Shop_Backups" },
      /^Error: name "Shop_Backups" cannot be a bucket/,
    ],
  };
  for (const [what, [args, sentence]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.rejects(elsewhere(args), sentence));
  }
});
