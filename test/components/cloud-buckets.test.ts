import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type * as Components from "../../components/index.ts";
import { type Declared, declare, isSecret, plainText } from "./mocks.ts";

const SECRET = "the-administrator's-secret-key";
const WRITER = "the-writer's-secret-key";
let components: typeof Components;
before(async () => {
  components = await import("../../components/index.ts");
});

function onAws(args: Partial<Components.AwsBackupBucketArgs> = {}): Promise<Declared[]> {
  const { AwsBackupBucket, Retention } = components;
  return declare(false, () => {
    const bucket = new AwsBackupBucket("shop", { retention: Retention.days(30), ...args });
    return [bucket.urn, bucket.policy.urn, bucket.lifecycle.urn, bucket.lock?.urn ?? bucket.urn];
  });
}

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

/** Inputs of the one resource whose type ends so. */
function inputs(declared: readonly Declared[], type: string): Record<string, unknown> {
  const [found, ...more] = declared.filter((resource) => resource.type.endsWith(type));
  assert.deepEqual(more, []);
  assert.ok(found, `${type} is not among ${declared.map((r) => r.type).join(", ")}`);
  return found.inputs;
}

function sids(policy: unknown): string[] {
  const { Statement } = JSON.parse(String(policy)) as { Statement: { Sid: string }[] };
  return Statement.map(({ Sid }) => Sid.replace("KamalPostgresBackup", ""));
}

describe("AwsBackupBucket", () => {
  it("is closed to plain http, customer keys and overwriting by default", async () => {
    const declared = await onAws();
    const policy = inputs(declared, ":BucketPolicy")["policy"];
    assert.deepEqual(sids(policy), ["TlsOnly", "NoCustomerKeys", "OnlyNewKeys"]);
    assert.deepEqual(inputs(declared, ":BucketOwnershipControls")["rule"], {
      objectOwnership: "BucketOwnerEnforced",
    });
    assert.ok(!declared.some(({ type }) => type.endsWith(":BucketObjectLockConfiguration")));
  });

  it("does not refuse the only way in that it is given", async () => {
    const policy = (endpoint: string) => onAws({ endpoint, allowInsecure: true });
    const plain = inputs(await policy("http://minio.internal"), ":BucketPolicy")["policy"];
    assert.deepEqual(sids(plain), ["NoCustomerKeys", "OnlyNewKeys"]);
    const tls = inputs(await policy("https://vpce-1.s3.internal"), ":BucketPolicy")["policy"];
    assert.deepEqual(sids(tls), ["TlsOnly", "NoCustomerKeys", "OnlyNewKeys"]);
  });

  it("lets overwriting be allowed", async () => {
    const policy = inputs(await onAws({ denyOverwrite: false }), ":BucketPolicy")["policy"];
    assert.deepEqual(sids(policy), ["TlsOnly", "NoCustomerKeys"]);
  });

  it("encrypts with S3's keys, or with one of KMS", async () => {
    const rules = async (args: Partial<Components.AwsBackupBucketArgs>) =>
      inputs(await onAws(args), ":BucketServerSideEncryptionConfiguration")["rules"];
    assert.deepEqual(await rules({}), [
      { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
    ]);
    const kmsKey = "arn:aws:kms:eu-west-3:111122223333:key/4f2a";
    assert.deepEqual(await rules({ kmsKey }), [
      {
        applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: kmsKey },
        bucketKeyEnabled: true,
      },
    ]);
  });

  it("locks, moves to cheaper classes, tags and imports when asked", async () => {
    const declared = await onAws({
      lock: { mode: "compliance", days: 14, acceptCompliance: true },
      transitions: [{ days: 20, storageClass: "STANDARD_IA" }],
      tags: { team: "data" },
      import: "made-by-hand",
      prefix: "shop",
    });
    assert.deepEqual(inputs(declared, ":BucketObjectLockConfiguration")["rule"], {
      defaultRetention: { mode: "COMPLIANCE", days: 14 },
    });
    const rules = inputs(declared, ":BucketLifecycleConfiguration")["rules"] as { id: string }[];
    assert.deepEqual(
      rules.find(({ id }) => id === "expire"),
      {
        id: "expire",
        status: "Enabled",
        filter: { prefix: "shop/" },
        expiration: { days: 30 },
        noncurrentVersionExpiration: { noncurrentDays: 14 },
        transitions: [{ days: 20, storageClass: "STANDARD_IA" }],
      },
    );
    const bucket = inputs(declared, ":Bucket");
    assert.deepEqual([bucket["tags"], bucket["bucket"]], [{ team: "data" }, "made-by-hand"]);
  });

  it("hands its region and a transform to each child", async () => {
    const declared = await onAws({
      region: "eu-west-3",
      lock: { mode: "governance", days: 3 },
      transform: {
        ownership: { region: "eu-west-1" },
        policy: (args) => ({ ...args, policy: "{}" }),
        lock: { rule: { defaultRetention: { mode: "GOVERNANCE", years: 1 } } },
      },
    });
    const children = declared.filter(({ type }) => type.startsWith("aws:s3"));
    assert.equal(children.length, 8);
    for (const child of children) {
      const expected = child.name === "shop-ownership" ? "eu-west-1" : "eu-west-3";
      assert.equal(child.inputs["region"], expected, child.name);
    }
    assert.equal(inputs(declared, ":BucketPolicy")["policy"], "{}");
    assert.deepEqual(inputs(declared, ":BucketObjectLockConfiguration")["rule"], {
      defaultRetention: { mode: "GOVERNANCE", years: 1 },
    });
  });

  const refused: Record<string, [object, RegExp]> = {
    "compliance that is not meant": [
      { lock: { mode: "compliance", days: 14 } },
      /lock: in compliance mode/,
    ],
    "a lock longer than the retention": [
      { lock: { mode: "governance", days: 31 } },
      /locked for 31/,
    ],
    "an import without its folder": [
      { import: "made-by-hand" },
      /prefix: give the folder .*import/,
    ],
    "plain http to another machine": [{ endpoint: "http://192.0.2.1" }, /plain http/],
  };
  for (const [what, [args, sentence]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.rejects(onAws(args), sentence));
  }

  it("judges a lock by the shortest of the tiers", async () => {
    const retention = components.Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });
    const lock = { mode: "governance", days: 8 } as const;
    await assert.rejects(onAws({ retention, prefix: "shop", lock }), /expire after 7 .*for 8/);
  });
});

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
    "a region of another place": [{ region: "nl-ams" }, /S3_ENDPOINT says fr-par/],
    "a name that no bucket can have": [{ name: "Shop_Backups" }, /cannot be a bucket/],
  };
  for (const [what, [args, sentence]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => assert.rejects(elsewhere(args), sentence));
  }
});
