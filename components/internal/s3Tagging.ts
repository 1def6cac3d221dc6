import {
  DeleteBucketTaggingCommand,
  GetBucketTaggingCommand,
  PutBucketTaggingCommand,
} from "@aws-sdk/client-s3";
import type { Store } from "../../storage/s3/client.ts";
import { unless } from "./s3Connection.ts";
import { watch } from "./s3Setting.ts";

export interface TaggingSetting {
  /** Those declared; tags of the bucket under other keys are left alone. */
  readonly tags: Readonly<Record<string, string>>;
}

const { check, create, read, diff, update, remove } = watch<TaggingSetting>({
  what: "tags",

  async read(store, { tags: declared }) {
    const found = Object.entries(await tagsOf(store)).filter(([key]) => key in declared);
    return found.length === 0 ? undefined : { tags: Object.fromEntries(found) };
  },

  async write(store, { tags }, before) {
    await put(store, { ...without(await tagsOf(store), before?.tags ?? {}), ...tags });
  },

  async remove(store, { tags }) {
    await put(store, without(await tagsOf(store), tags));
  },
});

export { check, create, diff, read, remove as delete, update };

type Tags = Readonly<Record<string, string>>;

function without(tags: Tags, declared: Tags): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([key]) => !(key in declared)));
}

async function tagsOf({ client, address }: Store): Promise<Tags> {
  // Ceph has a name of its own for a bucket without tags.
  const found = await unless(["NoSuchTagSet", "NoSuchTagSetError"], () =>
    client.send(new GetBucketTaggingCommand({ Bucket: address.bucket })),
  );
  return Object.fromEntries((found?.TagSet ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
}

async function put({ client, address }: Store, tags: Tags): Promise<void> {
  const Bucket = address.bucket;
  const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  if (TagSet.length === 0) await client.send(new DeleteBucketTaggingCommand({ Bucket }));
  else await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
}
