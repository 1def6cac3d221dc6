import {
  GetObjectLockConfigurationCommand,
  type ObjectLockRule,
  PutObjectLockConfigurationCommand,
} from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../../storage/s3/client.ts";
import { unless } from "./s3Connection.ts";
import { watch } from "./s3Setting.ts";

export interface LockSetting {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  readonly days: number;
}

const { check, create, read, diff, update, remove } = watch<LockSetting>({
  what: "lock",

  async read(store) {
    const rule = (await lockOf(store))?.Rule?.DefaultRetention;
    if (rule?.Mode === undefined) return undefined;
    return { mode: rule.Mode, days: rule.Days ?? (rule.Years ?? 0) * 365 };
  },

  async write(store, { mode, days }) {
    try {
      await put(store, { DefaultRetention: { Mode: mode, Days: days } });
    } catch (error) {
      if ((await lockOf(store))?.ObjectLockEnabled === "Enabled") throw error;
      const { provider, bucket } = store.address;
      throw new Problem(
        `lock: bucket ${bucket} was made without Object Lock, and ${provider.name} does not turn it on later (${(error as Error).name}). Choose another name, so that a new bucket is made.`,
      );
    }
  },

  /** The lock itself cannot be taken off a bucket; its default retention can. */
  remove: (store) => put(store, undefined),
});

export { check, create, diff, read, remove as delete, update };

async function lockOf({ client, address }: Store) {
  const found = await unless(["ObjectLockConfigurationNotFoundError"], () =>
    client.send(new GetObjectLockConfigurationCommand({ Bucket: address.bucket })),
  );
  return found?.ObjectLockConfiguration;
}

async function put({ client, address }: Store, Rule: ObjectLockRule | undefined): Promise<void> {
  await client.send(
    new PutObjectLockConfigurationCommand({
      Bucket: address.bucket,
      ObjectLockConfiguration: { ObjectLockEnabled: "Enabled", ...(Rule && { Rule }) },
    }),
  );
}
