import {
  DeleteBucketOwnershipControlsCommand,
  GetBucketOwnershipControlsCommand,
  type ObjectOwnership,
  PutBucketOwnershipControlsCommand,
} from "@aws-sdk/client-s3";
import type { BucketOwnershipControlsArgs } from "@pulumi/aws/s3/bucketOwnershipControls.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import type { Resource } from "../resource.ts";
import { doing, region, s3, unless } from "./service.ts";

type Inputs = UnwrappedObject<BucketOwnershipControlsArgs>;
const ABSENT = ["NoSuchBucket", "OwnershipControlsNotFoundError"];

export const bucketOwnershipControls: Resource<Inputs> = {
  type: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  computed: ["region"],
  replacedBy: ["bucket", "region"],

  async create(inputs) {
    await write(inputs);
    return { id: inputs.bucket, outputs: { region } };
  },

  async read(bucket) {
    const found = await unless(ABSENT, () =>
      s3.send(new GetBucketOwnershipControlsCommand({ Bucket: bucket })),
    );
    const objectOwnership = found?.OwnershipControls?.Rules?.[0]?.ObjectOwnership;
    if (objectOwnership === undefined) return undefined;
    return { inputs: { bucket, rule: { objectOwnership } }, outputs: { region } };
  },

  async update(_bucket, news) {
    await write(news);
    return { region };
  },

  async delete(bucket) {
    await doing(`deleting S3 Bucket Ownership Controls (${bucket})`, () =>
      unless(ABSENT, () => s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket: bucket }))),
    );
  },
};

async function write(inputs: Inputs): Promise<void> {
  const ObjectOwnership = inputs.rule.objectOwnership as ObjectOwnership;
  await doing(`putting S3 Bucket Ownership Controls (${inputs.bucket})`, () =>
    s3.send(
      new PutBucketOwnershipControlsCommand({
        Bucket: inputs.bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership }] },
      }),
    ),
  );
}
