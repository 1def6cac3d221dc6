import { GetBucketVersioningCommand, PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import type { BucketVersioningArgs } from "@pulumi/aws/s3/bucketVersioning.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { type Resource, takesOnly } from "../resource.ts";
import { doing, region, s3, unless } from "./service.ts";

type Inputs = UnwrappedObject<BucketVersioningArgs>;

export const bucketVersioning: Resource<Inputs> = {
  type: "aws:s3/bucketVersioning:BucketVersioning",
  computed: ["region"],
  replacedBy: ["bucket", "region"],

  check(news) {
    takesOnly(["bucket", "versioningConfiguration", "region"], news);
    return news;
  },

  async create(inputs) {
    await write(inputs.bucket, inputs.versioningConfiguration.status);
    return { id: inputs.bucket, outputs: { region } };
  },

  async read(bucket) {
    const found = await unless(["NoSuchBucket"], () =>
      s3.send(new GetBucketVersioningCommand({ Bucket: bucket })),
    );
    // A bucket that never had versioning has no status: the resource is not there.
    if (found?.Status === undefined) return undefined;
    return {
      inputs: { bucket, versioningConfiguration: { status: found.Status } },
      outputs: { region },
    };
  },

  async update(bucket, news) {
    await write(bucket, news.versioningConfiguration.status);
    return { region };
  },

  async delete(bucket) {
    await unless(["NoSuchBucket"], () => write(bucket, "Suspended"));
  },
};

async function write(bucket: string, status: string): Promise<void> {
  await doing(`putting S3 Bucket Versioning (${bucket})`, () =>
    s3.send(
      new PutBucketVersioningCommand({
        Bucket: bucket,
        VersioningConfiguration: { Status: status === "Enabled" ? "Enabled" : "Suspended" },
      }),
    ),
  );
}
