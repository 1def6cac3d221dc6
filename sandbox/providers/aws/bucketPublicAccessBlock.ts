import {
  DeletePublicAccessBlockCommand,
  GetPublicAccessBlockCommand,
  PutPublicAccessBlockCommand,
} from "@aws-sdk/client-s3";
import type { BucketPublicAccessBlockArgs } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import type { Resource } from "../resource.ts";
import { doing, region, s3, unless } from "./service.ts";

type Inputs = UnwrappedObject<BucketPublicAccessBlockArgs>;

export const bucketPublicAccessBlock: Resource<Inputs> = {
  type: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  computed: ["region"],
  replacedBy: ["bucket", "region"],

  async create(inputs) {
    await write(inputs);
    return { id: inputs.bucket, outputs: { region } };
  },

  async read(bucket) {
    const found = await unless(["NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"], () =>
      s3.send(new GetPublicAccessBlockCommand({ Bucket: bucket })),
    );
    const block = found?.PublicAccessBlockConfiguration;
    if (block === undefined) return undefined;
    return {
      inputs: {
        bucket,
        blockPublicAcls: block.BlockPublicAcls ?? false,
        blockPublicPolicy: block.BlockPublicPolicy ?? false,
        ignorePublicAcls: block.IgnorePublicAcls ?? false,
        restrictPublicBuckets: block.RestrictPublicBuckets ?? false,
      },
      outputs: { region },
    };
  },

  async update(_bucket, news) {
    await write(news);
    return { region };
  },

  async delete(bucket, state) {
    if (state["skipDestroy"] === true) return;
    await doing(`deleting S3 Bucket Public Access Block (${bucket})`, () =>
      unless(["NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"], () =>
        s3.send(new DeletePublicAccessBlockCommand({ Bucket: bucket })),
      ),
    );
  },
};

async function write(inputs: Inputs): Promise<void> {
  await doing(`putting S3 Bucket Public Access Block (${inputs.bucket})`, () =>
    s3.send(
      new PutPublicAccessBlockCommand({
        Bucket: inputs.bucket,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: inputs.blockPublicAcls ?? false,
          BlockPublicPolicy: inputs.blockPublicPolicy ?? false,
          IgnorePublicAcls: inputs.ignorePublicAcls ?? false,
          RestrictPublicBuckets: inputs.restrictPublicBuckets ?? false,
        },
      }),
    ),
  );
}
