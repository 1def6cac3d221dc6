import {
  GetObjectLockConfigurationCommand,
  type ObjectLockRetentionMode,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import type { BucketObjectLockConfigurationArgs } from "@pulumi/aws/s3/bucketObjectLockConfiguration.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { type Resource, takesOnly } from "../resource.ts";
import type { Props } from "../values.ts";
import { doing, region, s3, unless } from "./service.ts";
import { fromService } from "./spelling.ts";

type Inputs = UnwrappedObject<BucketObjectLockConfigurationArgs>;
const ABSENT = ["NoSuchBucket", "ObjectLockConfigurationNotFoundError"];

export const bucketObjectLockConfiguration: Resource<Inputs> = {
  type: "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
  computed: ["objectLockEnabled", "region"],
  replacedBy: ["bucket", "expectedBucketOwner", "objectLockEnabled", "region"],

  check(news) {
    takesOnly(["bucket", "objectLockEnabled", "rule", "region"], news);
    return news;
  },

  async create(inputs) {
    await write(inputs.bucket, inputs.rule);
    return { id: inputs.bucket, outputs: OUTPUTS };
  },

  async read(bucket) {
    const found = await unless(ABSENT, () =>
      s3.send(new GetObjectLockConfigurationCommand({ Bucket: bucket })),
    );
    const lock = found?.ObjectLockConfiguration;
    if (lock?.ObjectLockEnabled !== "Enabled") return undefined;
    return { inputs: { bucket, rule: fromService(lock.Rule) }, outputs: OUTPUTS };
  },

  async update(bucket, news) {
    await write(bucket, news.rule);
    return OUTPUTS;
  },

  /** The lock itself cannot be taken off; its default retention can. */
  async delete(bucket) {
    await unless(["NoSuchBucket"], () => write(bucket, undefined));
  },
};

const OUTPUTS: Props = { objectLockEnabled: "Enabled", region };

async function write(bucket: string, rule: Inputs["rule"]): Promise<void> {
  const { mode, days, years } = rule?.defaultRetention ?? {};
  await doing(`putting S3 Bucket Object Lock Configuration (${bucket})`, () =>
    s3.send(
      new PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: "Enabled",
          ...(rule && {
            Rule: {
              DefaultRetention: { Mode: mode as ObjectLockRetentionMode, Days: days, Years: years },
            },
          }),
        },
      }),
    ),
  );
}
