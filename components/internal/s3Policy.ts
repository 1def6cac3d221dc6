import {
  DeleteBucketPolicyCommand,
  GetBucketPolicyCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { mergePolicy, ownPolicy, samePolicy } from "../../storage/bucket/bucketPolicy.ts";
import type { Store } from "../../storage/s3/client.ts";
import { unless } from "./s3Connection.ts";
import { watch } from "./s3Setting.ts";

export interface PolicySetting {
  readonly policy: string;
  /** The bucket was its owner's before: other statements of its policy are left alone. Else they are drift. */
  readonly shared: boolean;
}

const { check, create, read, diff, update, remove } = watch<PolicySetting>({
  what: "policy",
  same: (a, b) => a.shared === b.shared && samePolicy(a.policy, b.policy),

  async read(store, { shared }) {
    const found = await policyOf(store);
    const policy = shared ? ownPolicy(found) : found;
    return policy === undefined ? undefined : { policy, shared };
  },

  async write(store, { policy, shared }) {
    await put(store, shared ? mergePolicy(await policyOf(store), policy) : policy);
  },

  async remove(store, { shared }) {
    await put(store, shared ? mergePolicy(await policyOf(store), undefined) : undefined);
  },
});

export { check, create, diff, read, remove as delete, update };

async function policyOf({ client, address }: Store): Promise<string | undefined> {
  const found = await unless(["NoSuchBucketPolicy"], () =>
    client.send(new GetBucketPolicyCommand({ Bucket: address.bucket })),
  );
  return found?.Policy;
}

async function put({ client, address }: Store, Policy: string | undefined): Promise<void> {
  const Bucket = address.bucket;
  if (Policy === undefined) await client.send(new DeleteBucketPolicyCommand({ Bucket }));
  else await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
}
