import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
} from "@aws-sdk/client-s3";
import type { BucketArgs } from "@pulumi/aws/s3/bucket.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { autoname, type Resource, takesOnly } from "../resource.ts";
import { type Props, withoutUndefined } from "../values.ts";
import { doing, fromTagList, region, s3, toTagList, unless } from "./service.ts";

type Inputs = UnwrappedObject<
  Pick<
    BucketArgs,
    "bucket" | "bucketPrefix" | "forceDestroy" | "objectLockEnabled" | "tags" | "region"
  >
>;
const SUPPORTED = ["bucket", "bucketPrefix", "forceDestroy", "objectLockEnabled", "tags", "region"];

export const bucket: Resource<Inputs> = {
  type: "aws:s3/bucket:Bucket",
  computed: [
    "arn",
    "bucketDomainName",
    "bucketRegionalDomainName",
    "hostedZoneId",
    "objectLockEnabled",
    "region",
    "tagsAll",
  ],
  volatile: ["tagsAll"],
  replacedBy: ["bucket", "bucketPrefix", "objectLockEnabled", "region"],

  check(news, context) {
    // The deprecated inline settings are not taken: each has a resource of its own.
    takesOnly(SUPPORTED, news);
    const prefix = news["bucketPrefix"];
    return autoname("bucket", news, context, {
      ...(typeof prefix === "string" && { prefix }),
      maximum: 63,
      lowercase: true,
    });
  },

  async create(inputs) {
    const name = inputs.bucket ?? "";
    await doing(`creating S3 Bucket (${name})`, () =>
      s3.send(
        new CreateBucketCommand({
          Bucket: name,
          ...(inputs.objectLockEnabled && { ObjectLockEnabledForBucket: true }),
        }),
      ),
    );
    await writeTags(name, inputs.tags);
    return { id: name, outputs: outputsOf(name, inputs.tags, inputs.objectLockEnabled ?? false) };
  },

  async read(name, state) {
    const there = await unless(["NotFound", "NoSuchBucket"], () =>
      s3.send(new HeadBucketCommand({ Bucket: name })),
    );
    if (there === undefined) return undefined;
    const tagging = await unless(["NoSuchTagSet"], () =>
      s3.send(new GetBucketTaggingCommand({ Bucket: name })),
    );
    const lock = await unless(["ObjectLockConfigurationNotFoundError"], () =>
      s3.send(new GetObjectLockConfigurationCommand({ Bucket: name })),
    );
    const tags = fromTagList(tagging?.TagSet ?? []);
    const locked = lock?.ObjectLockConfiguration?.ObjectLockEnabled === "Enabled";
    return {
      inputs: { bucket: name, tags, forceDestroy: state["forceDestroy"] ?? false },
      outputs: outputsOf(name, tags, locked),
    };
  },

  async update(name, news) {
    await writeTags(name, news.tags);
    return withoutUndefined({ tagsAll: news.tags ?? {} });
  },

  async delete(name, state) {
    await doing(`deleting S3 Bucket (${name})`, async () => {
      if (state["forceDestroy"] === true) await empty(name, state["objectLockEnabled"] === true);
      await unless(["NoSuchBucket"], () => s3.send(new DeleteBucketCommand({ Bucket: name })));
    });
  },
};

function outputsOf(name: string, tags: Record<string, string> | undefined, locked: boolean): Props {
  return {
    arn: `arn:aws:s3:::${name}`,
    bucketDomainName: `${name}.s3.amazonaws.com`,
    bucketRegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
    hostedZoneId: "",
    objectLockEnabled: locked,
    region,
    tagsAll: tags ?? {},
  };
}

async function writeTags(name: string, tags: Record<string, string> | undefined): Promise<void> {
  const TagSet = toTagList(tags);
  await doing(`tagging S3 Bucket (${name})`, () =>
    TagSet.length > 0
      ? s3.send(new PutBucketTaggingCommand({ Bucket: name, Tagging: { TagSet } }))
      : s3.send(new DeleteBucketTaggingCommand({ Bucket: name })),
  );
}

/** Deletes every version of every object. Each round lists anew, so that nothing is skipped while the listing shrinks. */
async function empty(name: string, bypass: boolean): Promise<void> {
  for (;;) {
    const page = await unless(["NoSuchBucket"], () =>
      s3.send(new ListObjectVersionsCommand({ Bucket: name })),
    );
    const versions = [...(page?.Versions ?? []), ...(page?.DeleteMarkers ?? [])];
    if (versions.length === 0) return;
    const Objects = versions.map(({ Key, VersionId }) => ({ Key: Key ?? "", VersionId }));
    const { Errors = [] } = await s3.send(
      new DeleteObjectsCommand({
        Bucket: name,
        Delete: { Objects: Objects.slice(0, 1000), Quiet: true },
        ...(bypass && { BypassGovernanceRetention: true }),
      }),
    );
    const [refused] = Errors;
    if (refused)
      throw Object.assign(new Error(`${refused.Key}: ${refused.Message}`), {
        name: refused.Code ?? "",
      });
  }
}
