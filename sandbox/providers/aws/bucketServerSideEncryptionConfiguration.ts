import { isDeepStrictEqual } from "node:util";
import {
  DeleteBucketEncryptionCommand,
  GetBucketEncryptionCommand,
  PutBucketEncryptionCommand,
  type ServerSideEncryptionRule,
} from "@aws-sdk/client-s3";
import type { BucketServerSideEncryptionConfigurationArgs } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import type { Resource } from "../resource.ts";
import type { Value } from "../values.ts";
import { doing, region, s3, unless } from "./service.ts";
import { fromService, normal } from "./spelling.ts";

type Inputs = UnwrappedObject<BucketServerSideEncryptionConfigurationArgs>;

export const bucketServerSideEncryptionConfiguration: Resource<Inputs> = {
  type: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  computed: ["region"],
  replacedBy: ["bucket", "expectedBucketOwner", "region"],
  equal: { rules: (before, after) => isDeepStrictEqual(normal(before), normal(after)) },

  async create(inputs) {
    await write(inputs);
    return { id: inputs.bucket, outputs: { region } };
  },

  async read(bucket) {
    const found = await unless(
      ["NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError"],
      () => s3.send(new GetBucketEncryptionCommand({ Bucket: bucket })),
    );
    const rules = found?.ServerSideEncryptionConfiguration?.Rules;
    if (rules === undefined) return undefined;
    return { inputs: { bucket, rules: fromS3(fromService(rules) as Value) }, outputs: { region } };
  },

  async update(_bucket, news) {
    await write(news);
    return { region };
  },

  async delete(bucket) {
    await doing(`deleting S3 Bucket Server-side Encryption Configuration (${bucket})`, () =>
      unless(["NoSuchBucket", "ServerSideEncryptionConfigurationNotFoundError"], () =>
        s3.send(new DeleteBucketEncryptionCommand({ Bucket: bucket })),
      ),
    );
  },
};

async function write(inputs: Inputs): Promise<void> {
  const Rules = inputs.rules.map(
    ({ applyServerSideEncryptionByDefault: by, bucketKeyEnabled }): ServerSideEncryptionRule => ({
      ...(by && {
        ApplyServerSideEncryptionByDefault: {
          SSEAlgorithm: by.sseAlgorithm === "aws:kms" ? "aws:kms" : "AES256",
          KMSMasterKeyID: by.kmsMasterKeyId,
        },
      }),
      BucketKeyEnabled: bucketKeyEnabled,
    }),
  );
  await doing(`putting S3 Bucket Server-side Encryption Configuration (${inputs.bucket})`, () =>
    s3.send(
      new PutBucketEncryptionCommand({
        Bucket: inputs.bucket,
        ServerSideEncryptionConfiguration: { Rules },
      }),
    ),
  );
}

/** The two names that S3 writes in capitals. */
function fromS3(rules: Value): Value {
  return JSON.parse(
    JSON.stringify(rules)
      .replaceAll('"sSEAlgorithm"', '"sseAlgorithm"')
      .replaceAll('"kMSMasterKeyID"', '"kmsMasterKeyId"'),
  );
}
