import {
  DeleteBucketPolicyCommand,
  GetBucketPolicyCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import type { Resource } from "../resource.ts";
import { checkPolicy, samePolicy } from "./policyDocument.ts";
import { doing, region, s3, unless } from "./service.ts";

/** The SDK's `policy` may be an object; `check` has made it text. */
interface Inputs {
  bucket: string;
  policy: string;
}

export const bucketPolicy: Resource<Inputs> = {
  type: "aws:s3/bucketPolicy:BucketPolicy",
  computed: ["region"],
  replacedBy: ["bucket", "region"],
  equal: { policy: samePolicy },
  check: checkPolicy,

  async create(inputs) {
    await write(inputs);
    return { id: inputs.bucket, outputs: { region } };
  },

  async read(bucket) {
    const found = await unless(["NoSuchBucket", "NoSuchBucketPolicy"], () =>
      s3.send(new GetBucketPolicyCommand({ Bucket: bucket })),
    );
    if (!found?.Policy) return undefined;
    return { inputs: { bucket, policy: found.Policy }, outputs: { region } };
  },

  async update(_bucket, news) {
    await write(news);
    return { region };
  },

  async delete(bucket) {
    await doing(`deleting S3 Bucket Policy (${bucket})`, () =>
      unless(["NoSuchBucket", "NoSuchBucketPolicy"], () =>
        s3.send(new DeleteBucketPolicyCommand({ Bucket: bucket })),
      ),
    );
  },
};

async function write({ bucket, policy }: Inputs): Promise<void> {
  await doing(`putting S3 Bucket Policy (${bucket})`, () =>
    s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy })),
  );
}
