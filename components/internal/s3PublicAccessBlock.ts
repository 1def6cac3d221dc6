import {
  DeletePublicAccessBlockCommand,
  GetPublicAccessBlockCommand,
  PutPublicAccessBlockCommand,
} from "@aws-sdk/client-s3";
import { unless } from "./s3Connection.ts";
import { watch } from "./s3Setting.ts";

export interface PublicAccessSetting {
  readonly blockPublicAcls: boolean;
  readonly blockPublicPolicy: boolean;
  readonly ignorePublicAcls: boolean;
  readonly restrictPublicBuckets: boolean;
}

const { check, create, read, diff, update, remove } = watch<PublicAccessSetting>({
  what: "public access block",

  async read({ client, address }) {
    const found = await unless(["NoSuchPublicAccessBlockConfiguration"], () =>
      client.send(new GetPublicAccessBlockCommand({ Bucket: address.bucket })),
    );
    const block = found?.PublicAccessBlockConfiguration;
    return (
      block && {
        blockPublicAcls: block.BlockPublicAcls ?? false,
        blockPublicPolicy: block.BlockPublicPolicy ?? false,
        ignorePublicAcls: block.IgnorePublicAcls ?? false,
        restrictPublicBuckets: block.RestrictPublicBuckets ?? false,
      }
    );
  },

  async write({ client, address }, declared) {
    await client.send(
      new PutPublicAccessBlockCommand({
        Bucket: address.bucket,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: declared.blockPublicAcls,
          BlockPublicPolicy: declared.blockPublicPolicy,
          IgnorePublicAcls: declared.ignorePublicAcls,
          RestrictPublicBuckets: declared.restrictPublicBuckets,
        },
      }),
    );
  },

  async remove({ client, address }) {
    await client.send(new DeletePublicAccessBlockCommand({ Bucket: address.bucket }));
  },
});

export { check, create, diff, read, remove as delete, update };
