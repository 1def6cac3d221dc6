import { GetBucketVersioningCommand, PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import type { Store } from "../../storage/s3/client.ts";
import { watch } from "./s3Setting.ts";

export interface VersioningSetting {
  readonly status: "Enabled" | "Suspended";
}

const { check, create, read, diff, update, remove } = watch<VersioningSetting>({
  what: "versioning",

  async read({ client, address }) {
    const { Status } = await client.send(
      new GetBucketVersioningCommand({ Bucket: address.bucket }),
    );
    return Status === undefined ? undefined : { status: Status };
  },

  write: (store, { status }) => put(store, status),
  remove: (store) => put(store, "Suspended"),
});

export { check, create, diff, read, remove as delete, update };

async function put({ client, address }: Store, Status: VersioningSetting["status"]): Promise<void> {
  await client.send(
    new PutBucketVersioningCommand({
      Bucket: address.bucket,
      VersioningConfiguration: { Status },
    }),
  );
}
