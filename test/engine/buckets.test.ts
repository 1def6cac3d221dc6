// tag: cloud
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
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type AwsBackupBucketArgs, Retention } from "../../components/index.ts";
import {
  type Changes,
  chainOf,
  type Drifts,
  elsewhere,
  type Kind,
  onAws,
  roundsOf,
  type Steps,
} from "../support/bucketKinds.ts";
import { administrator, changed } from "../support/compatible.ts";
import type { Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

/** Both kinds of bucket against a service that enforces policies, on the real engine. */
let store: TestStore;
let s3: S3Client;

before(async () => {
  store = await startStore();
  s3 = administrator(store);
});
after(() => store?.stop());

type Changed = Pick<
  AwsBackupBucketArgs,
  "noncurrentRetention" | "lock" | "forceDestroy" | "prefix"
> & { retention?: Retention };

const lock = { mode: "governance", days: 3 } as const;

const kinds: Record<string, Kind<Changed>> = {
  AwsBackupBucket: onAws(() => store, { lock }),
  S3CompatibleBucket: elsewhere(() => store, { lock, name: "compatible-shop" }),
};

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
const drifts: Drifts = {
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
    ["blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"],
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

/** Each setting with the one step that its change must be, and so its way back. */
const steps: Record<string, [Changed, Steps]> = {
  retention: [{ retention: Retention.days(14) }, { "shop-lifecycle": "update" }],
  noncurrentRetention: [
    { noncurrentRetention: Retention.days(20) },
    { "shop-lifecycle": "update" },
  ],
  "lock.days": [{ lock: { mode: "governance", days: 5 } }, { "shop-lock": "update" }],
  "prefix and tiers": [
    {
      prefix: "shop",
      retention: Retention.tiers({ daily: 30, weekly: 60, monthly: 365 }),
    },
    { "shop-lifecycle": "update", "shop-policy": "update" },
  ],
  forceDestroy: [{ forceDestroy: true }, { shop: "update" }],
};
const changes: Changes<Changed> = Object.fromEntries(
  Object.entries(steps).map(([what, [change, step]]) => [what, [change, step, step]]),
);

for (const [kind, { open: openKind, program }] of Object.entries(kinds)) {
  describe(kind, () => {
    let project: Project;
    let name: string;
    before(async () => {
      project = await openKind();
    });
    after(() => project?.close());

    it("up makes the bucket with what was asked for", async () => {
      await project.up(program());
      const outputs = await project.outputs();
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

    for (const round of roundsOf(drifts)) {
      // That up has put it back is seen by the next look, which finds its own round alone.
      it(`${Object.keys(round).join(", ")}: drift, each at its resource, and up puts it back`, async () => {
        for (const [, byHand] of Object.values(round)) await byHand(name);
        const drift = await project.drift(program());
        assert.equal(drift.code, 7, JSON.stringify(drift));
        const parts = Object.values(round).map(([part]) => part);
        assert.deepEqual(Object.keys(changed(drift)).toSorted(), parts.toSorted());
        // `pulumi preview --diff` shows what differs between the inputs as they were found and as they are declared.
        for (const [part, step] of Object.entries(changed(drift))) {
          if (step === "update")
            assert.notDeepEqual(drift.inputs[part], [], `${part} shows nothing`);
        }
        for (const [part, , inputs] of Object.values(round)) {
          if (inputs !== undefined) assert.deepEqual(drift.inputs[part]?.toSorted(), inputs);
        }
        await project.up(program(), { refresh: true });
        assert.equal(await expiryOf(name), 30);
      });
    }

    it("nothing is left to be changed, and each setting that is changed has its own step, and so has its way back", async () => {
      assert.equal((await project.drift(program())).code, 0);
      for (const { what, change, steps } of chainOf(changes)) {
        assert.deepEqual(changed(await project.up(program(change))), steps, what);
      }
    });

    it("destroy keeps the bucket, its settings and what is in it", async () => {
      await s3.send(new PutObjectCommand({ Bucket: name, Key: "shop/kept", Body: "1" }));
      await project.destroy(program());
      await s3.send(new HeadObjectCommand({ Bucket: name, Key: "shop/kept" }));
      assert.equal(await expiryOf(name), 30);
      await s3.send(new GetBucketPolicyCommand({ Bucket: name }));
    });
  });
}
