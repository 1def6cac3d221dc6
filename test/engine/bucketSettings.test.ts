// tag: cloud
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  DeleteBucketEncryptionCommand,
  DeleteBucketTaggingCommand,
  GetBucketTaggingCommand,
  GetObjectLockConfigurationCommand,
  PutBucketEncryptionCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import type {
  AwsBackupBucketArgs,
  BackupBucketArgs,
  S3CompatibleBucketArgs,
} from "../../components/index.ts";
import {
  type Changes,
  chainOf,
  type Drift,
  type Drifts,
  elsewhere,
  type Kind,
  onAws,
  roundsOf,
} from "../support/bucketKinds.ts";
import { administrator, changed } from "../support/compatible.ts";
import type { Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

/** Buckets without a lock, and the settings that only one kind has: changed in the program, and by hand. */
let store: TestStore;
let s3: S3Client;
before(async () => {
  store = await startStore();
  s3 = administrator(store);
});
after(() => store?.stop());

const tags = { team: "data", stage: "test" };
const lock = { mode: "governance", days: 3 } as const;

const suspended: Drift = [
  "shop-versioning",
  (Bucket) =>
    s3.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    ),
];
const driftsOfBoth: Drifts = { "versioning suspended": suspended };

const changesOfBoth: Changes<BackupBucketArgs> = {
  // The default retention goes and comes; the lock itself stays on the bucket, as the argument says.
  lock: [{ lock }, { "shop-lock": "create" }, { "shop-lock": "delete" }],
};

const kmsKey = "arn:aws:kms:us-east-1:111122223333:key/4f2a";
const encryptedBy = (rule: object) => (Bucket: string) =>
  s3.send(
    new PutBucketEncryptionCommand({
      Bucket,
      ServerSideEncryptionConfiguration: { Rules: [rule] },
    }),
  );

const driftsOnAws: Drifts = {
  "no encryption": [
    "shop-encryption",
    (Bucket) => s3.send(new DeleteBucketEncryptionCommand({ Bucket })),
  ],
  "encryption with another key": [
    "shop-encryption",
    encryptedBy({
      ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: kmsKey },
    }),
  ],
  "objects owned by who writes them": [
    "shop-ownership",
    (Bucket) =>
      s3.send(
        new PutBucketOwnershipControlsCommand({
          Bucket,
          OwnershipControls: { Rules: [{ ObjectOwnership: "ObjectWriter" }] },
        }),
      ),
  ],
  "another tag": [
    "shop",
    (Bucket) =>
      s3.send(
        new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "team", Value: "x" }] } }),
      ),
  ],
};

const changesOnAws: Changes<AwsBackupBucketArgs> = {
  kmsKey: [{ kmsKey }, { "shop-encryption": "update" }, { "shop-encryption": "update" }],
  denyOverwrite: [
    { denyOverwrite: false },
    { "shop-policy": "update" },
    { "shop-policy": "update" },
  ],
  tags: [{ tags: { team: "operations" } }, { shop: "update" }, { shop: "update" }],
  transform: [
    { transform: { ownership: { rule: { objectOwnership: "ObjectWriter" } } } },
    { "shop-ownership": "update" },
    { "shop-ownership": "update" },
  ],
};

const driftsElsewhere: Drifts = {
  "another tag": [
    "shop-tagging",
    (Bucket) =>
      s3.send(
        new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "team", Value: "x" }] } }),
      ),
  ],
  "no tags": ["shop-tagging", (Bucket) => s3.send(new DeleteBucketTaggingCommand({ Bucket }))],
};

const changesElsewhere: Changes<S3CompatibleBucketArgs> = {
  tags: [
    { tags: { team: "operations" } },
    { "shop-tagging": "update" },
    { "shop-tagging": "update" },
  ],
  transform: [
    { transform: { publicAccessBlock: { restrictPublicBuckets: false } } },
    { "shop-public-access-block": "update" },
    { "shop-public-access-block": "update" },
  ],
  "transform of the rules": [
    {
      transform: {
        lifecycle: ({ rules }) => ({ rules: rules.filter(({ id }) => id !== "expired-markers") }),
      },
    },
    { "shop-lifecycle": "update" },
    { "shop-lifecycle": "update" },
  ],
  abilities: [
    { abilities: { publicAccessBlock: false } },
    { "shop-public-access-block": "delete" },
    { "shop-public-access-block": "create" },
  ],
};

async function lockOf(Bucket: string) {
  const found = await s3.send(new GetObjectLockConfigurationCommand({ Bucket }));
  return found.ObjectLockConfiguration;
}

function suite<Args extends BackupBucketArgs>(
  name: string,
  { open, program }: Kind<Args>,
  drifts: Drifts,
  changes: Changes<Args>,
  more: (project: () => Project, bucket: () => string) => void,
) {
  describe(name, () => {
    let project: Project;
    let bucket: string;
    before(async () => {
      project = await open();
      await project.up(program());
      bucket = (await project.outputs())["name"]?.value;
    });
    after(() => project?.close());

    it("nothing is to be changed after that, and a refresh finds nothing", async () => {
      assert.deepEqual(Object.keys(await project.refresh(program())), ["same"]);
      assert.equal((await project.drift(program())).code, 0);
    });

    it("a refresh takes what a hand changed into the state, and the next up puts it back", async () => {
      const [part, byHand] = suspended;
      await byHand(bucket);
      assert.equal((await project.refresh(program()))["update"], 1);
      assert.deepEqual(changed(await project.up(program())), { [part]: "update" });
    });

    for (const round of roundsOf(drifts)) {
      // That up has put it back is seen by the next look, which finds its own round alone.
      it(`${Object.keys(round).join(", ")}: drift, each at its resource, and up puts it back`, async () => {
        const parts = Object.values(round).map(([part]) => part);
        for (const [, byHand] of Object.values(round)) await byHand(bucket);
        const drift = await project.drift(program());
        assert.equal(drift.code, 7, JSON.stringify(drift));
        assert.deepEqual(Object.keys(changed(drift)).toSorted(), parts.toSorted());
        await project.up(program(), { refresh: true });
      });
    }

    it("each setting that is changed has its own step, and so has its way back", async () => {
      assert.equal((await project.drift(program())).code, 0);
      for (const { what, change, steps } of chainOf(changes)) {
        assert.deepEqual(changed(await project.up(program(change))), steps, what);
      }
      // What is no longer declared is left on the bucket, unless the bucket is ours to destroy.
      assert.equal((await lockOf(bucket))?.Rule?.DefaultRetention?.Days, lock.days);
    });

    it("with forceDestroy the default retention goes; the lock itself cannot", async () => {
      const forced = { forceDestroy: true } as Partial<Args>;
      await project.up(program({ ...forced, lock }));
      await project.up(program(forced));
      assert.deepEqual(await lockOf(bucket), { ObjectLockEnabled: "Enabled" });
    });

    more(
      () => project,
      () => bucket,
    );
  });
}

const aws = onAws(() => store, { tags });
suite(
  "AwsBackupBucket",
  aws,
  { ...driftsOfBoth, ...driftsOnAws },
  { ...changesOnAws, ...changesOfBoth },
  (project) => {
    it("storage classes, which this service has none of, are one update of the rules in the preview", async () => {
      const transitions = [{ days: 10, storageClass: "GLACIER_IR" }];
      const preview = await project().preview(aws.program({ forceDestroy: true, transitions }));
      assert.deepEqual(changed(preview), { "shop-lifecycle": "update" });
    });
  },
);

const other = elsewhere(() => store, { name: "compatible-settings", tags });
suite(
  "S3CompatibleBucket",
  other,
  { ...driftsOfBoth, ...driftsElsewhere },
  { ...changesElsewhere, ...changesOfBoth },
  (project, bucket) => {
    const forced = { forceDestroy: true };
    const found = async () => {
      const { TagSet = [] } = await s3.send(new GetBucketTaggingCommand({ Bucket: bucket() }));
      return Object.fromEntries(TagSet.map(({ Key = "", Value = "" }) => [Key, Value]));
    };

    it("tags stand beside those of others, which are no drift and survive each change of ours", async () => {
      const TagSet = Object.entries({ ...tags, owner: "somebody" }).map(([Key, Value]) => ({
        Key,
        Value,
      }));
      await s3.send(new PutBucketTaggingCommand({ Bucket: bucket(), Tagging: { TagSet } }));
      assert.equal((await project().drift(other.program(forced))).code, 0);
      await project().up(other.program({ ...forced, tags: { team: "data", cost: "12" } }));
      assert.deepEqual(await found(), { team: "data", cost: "12", owner: "somebody" });
    });

    it("tags go when they are no longer asked for and the bucket is ours to destroy", async () => {
      await project().up(other.program({ ...forced, tags: undefined } as object));
      assert.deepEqual(await found(), { owner: "somebody" });
    });
  },
);
