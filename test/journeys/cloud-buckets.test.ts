import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  DeletePublicAccessBlockCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as pulumi from "@pulumi/pulumi";
import {
  AwsBackupBucket,
  type AwsBackupBucketArgs,
  Retention,
  S3CompatibleBucket,
  type S3CompatibleBucketArgs,
} from "../../components/index.ts";
import { openProject, type Project } from "../providers/project.ts";
import { startStore, type TestStore } from "../support/store.ts";

/** Both kinds of bucket against a service that enforces policies, on the real engine. */
let store: TestStore;
let s3: S3Client;

before(async () => {
  store = await startStore();
  s3 = new S3Client({
    endpoint: store.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: store,
  });
});
after(() => store?.stop());

function standIn(): Record<string, string> {
  return {
    SANDBOX_S3_ENDPOINT: store.endpoint,
    SANDBOX_S3_REGION: "us-east-1",
    SANDBOX_S3_ACCESS_KEY_ID: store.accessKeyId,
    SANDBOX_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
  };
}

/** One kind of bucket. */
interface Kind {
  readonly open: () => Promise<Project>;
  readonly program: (changes?: Changes) => pulumi.automation.PulumiFn;
}
type Changes = Pick<
  AwsBackupBucketArgs,
  "noncurrentRetention" | "lock" | "forceDestroy" | "prefix" | "tiers"
> & { retention?: Retention };

const lock = { mode: "governance", days: 3 } as const;
const declared: Changes & { retention: Retention } = { retention: Retention.days(30), lock };

const kinds: Record<string, Kind> = {
  AwsBackupBucket: {
    open: () => openProject(["aws"], standIn()),
    program:
      (changes = {}) =>
      async () => {
        const args = { ...declared, ...changes, endpoint: store.endpoint, allowInsecure: true };
        return { name: new AwsBackupBucket("shop", args).bucketName };
      },
  },
  S3CompatibleBucket: {
    open: () => openProject([]),
    program:
      (changes = {}) =>
      async () => {
        const bucket = compatible("shop", { ...declared, ...changes, name: "compatible-shop" });
        return { name: bucket.bucketName };
      },
  },
};

function compatible(
  name: string,
  args: Partial<S3CompatibleBucketArgs> & { name: string },
): S3CompatibleBucket {
  return new S3CompatibleBucket(name, {
    endpoint: store.endpoint,
    region: "us-east-1",
    retention: Retention.days(30),
    administrator: {
      accessKeyId: store.accessKeyId,
      secretAccessKey: pulumi.secret(store.secretAccessKey),
    },
    ...args,
  });
}

const open = (Bucket: string) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: "*",
        Action: "s3:GetObject",
        Resource: `arn:aws:s3:::${Bucket}/*`,
      },
    ],
  });

async function rulesOf(Bucket: string) {
  const found = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
  return found.Rules ?? [];
}

async function expiryOf(Bucket: string): Promise<number | undefined> {
  const rules = await rulesOf(Bucket);
  return rules.find(({ ID }) => ID?.startsWith("expire"))?.Expiration?.Days;
}

/** What a hand can do to a bucket in a console, and the resource at which it must show. */
const drifts: Record<string, [part: string, by: (Bucket: string) => Promise<unknown>]> = {
  "a shorter expiry": [
    "shop-lifecycle",
    async (Bucket) =>
      s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket,
          LifecycleConfiguration: {
            Rules: (await rulesOf(Bucket)).map((rule) =>
              rule.ID?.startsWith("expire") && rule.Expiration?.Days
                ? { ...rule, Expiration: { Days: 3 } }
                : rule,
            ),
          },
        }),
      ),
  ],
  "expiry switched off": [
    "shop-lifecycle",
    async (Bucket) =>
      s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket,
          LifecycleConfiguration: {
            Rules: (await rulesOf(Bucket)).map((rule) => ({ ...rule, Status: "Disabled" })),
          },
        }),
      ),
  ],
  "no lifecycle at all": [
    "shop-lifecycle",
    (Bucket) => s3.send(new DeleteBucketLifecycleCommand({ Bucket })),
  ],
  "a policy that opens the bucket": [
    "shop-policy",
    (Bucket) => s3.send(new PutBucketPolicyCommand({ Bucket, Policy: open(Bucket) })),
  ],
  "no policy": ["shop-policy", (Bucket) => s3.send(new DeleteBucketPolicyCommand({ Bucket }))],
  "public access allowed": [
    "shop-public-access-block",
    (Bucket) =>
      s3.send(
        new PutPublicAccessBlockCommand({
          Bucket,
          PublicAccessBlockConfiguration: { BlockPublicAcls: true },
        }),
      ),
  ],
  "public access block removed": [
    "shop-public-access-block",
    (Bucket) => s3.send(new DeletePublicAccessBlockCommand({ Bucket })),
  ],
  "a shorter lock": [
    "shop-lock",
    (Bucket) =>
      s3.send(
        new PutObjectLockConfigurationCommand({
          Bucket,
          ObjectLockConfiguration: {
            ObjectLockEnabled: "Enabled",
            Rule: { DefaultRetention: { Mode: "GOVERNANCE", Days: 1 } },
          },
        }),
      ),
  ],
  "a lock without retention": [
    "shop-lock",
    (Bucket) =>
      s3.send(
        new PutObjectLockConfigurationCommand({
          Bucket,
          ObjectLockConfiguration: { ObjectLockEnabled: "Enabled" },
        }),
      ),
  ],
};

/** Each setting changed alone, with the one step that it must be. */
const changes: Record<string, [Changes, Record<string, string>]> = {
  retention: [{ retention: Retention.days(14) }, { "shop-lifecycle": "update" }],
  noncurrentRetention: [
    { noncurrentRetention: Retention.days(20) },
    { "shop-lifecycle": "update" },
  ],
  "lock.days": [{ lock: { mode: "governance", days: 5 } }, { "shop-lock": "update" }],
  "prefix and tiers": [
    {
      prefix: "shop",
      tiers: { weekly: Retention.days(60), monthly: Retention.days(365) },
    },
    { "shop-lifecycle": "update", "shop-policy": "update" },
  ],
  forceDestroy: [{ forceDestroy: true }, { shop: "update" }],
};

function steps(seen: { steps: Record<string, string> }): Record<string, string> {
  return Object.fromEntries(Object.entries(seen.steps).filter(([, step]) => step !== "same"));
}

for (const [kind, { open: openKind, program }] of Object.entries(kinds)) {
  describe(kind, () => {
    let project: Project;
    let name: string;
    before(async () => {
      project = await openKind();
    });
    after(() => project?.close());

    it("up makes the bucket with what was asked for", async () => {
      const { outputs } = await project.up(program());
      name = outputs["name"]?.value;
      assert.equal(await expiryOf(name), 30);
      const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket: name }));
      assert.match(Policy ?? "", /KamalPostgresBackupNoCustomerKeys/);
      // The service is reached over plain http: a statement against that would lock everyone out.
      assert.doesNotMatch(Policy ?? "", /TlsOnly/);
      const found = await s3.send(new GetObjectLockConfigurationCommand({ Bucket: name }));
      assert.deepEqual(found.ObjectLockConfiguration?.Rule?.DefaultRetention, {
        Mode: "GOVERNANCE",
        Days: 3,
      });
    });

    it("a second up changes nothing, and nothing has drifted", async () => {
      assert.deepEqual(steps(await project.up(program())), {});
      assert.equal((await project.drift(program())).code, 0);
    });

    it("versioning cannot be suspended once there is a lock", async () => {
      const suspend = new PutBucketVersioningCommand({
        Bucket: name,
        VersioningConfiguration: { Status: "Suspended" },
      });
      await assert.rejects(s3.send(suspend), { name: "InvalidBucketState" });
    });

    for (const [what, [part, byHand]] of Object.entries(drifts)) {
      it(`${what} is drift, and up puts it back`, async () => {
        await byHand(name);
        const drift = await project.drift(program());
        assert.equal(drift.code, 7, JSON.stringify(drift));
        assert.deepEqual(Object.keys(steps(drift)), [part]);
        // The next drift shows alone, which proves that this one is healed.
        await project.up(program(), { refresh: true });
      });
    }

    it("after all that nothing is left of any drift", async () => {
      assert.equal((await project.drift(program())).code, 0);
      assert.equal(await expiryOf(name), 30);
    });

    for (const [what, [change, expected]] of Object.entries(changes)) {
      it(`a change of ${what} is ${JSON.stringify(expected)}`, async () => {
        assert.deepEqual(steps(await project.up(program(change))), expected);
        assert.deepEqual(steps(await project.up(program())), expected);
      });
    }

    it("destroy keeps the bucket, its settings and what is in it", async () => {
      await s3.send(new PutObjectCommand({ Bucket: name, Key: "shop/kept", Body: "1" }));
      await project.destroy(program());
      await s3.send(new HeadObjectCommand({ Bucket: name, Key: "shop/kept" }));
      assert.equal(await expiryOf(name), 30);
      await s3.send(new GetBucketPolicyCommand({ Bucket: name }));
    });
  });
}
