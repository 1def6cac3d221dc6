// tag: cloud
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type * as Components from "../../../components/index.ts";
import { type Declared, declare, inputs, sids } from "../mocks.ts";

let components: typeof Components;
before(async () => {
  components = await import("../../../components/index.ts");
});

function onAws(args: Partial<Components.AwsBackupBucketArgs> = {}): Promise<Declared[]> {
  const { AwsBackupBucket, Retention } = components;
  return declare(false, () => {
    const bucket = new AwsBackupBucket("shop", { retention: Retention.days(30), ...args });
    return [bucket.urn, bucket.policy.urn, bucket.lifecycle.urn, bucket.lock?.urn ?? bucket.urn];
  });
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
