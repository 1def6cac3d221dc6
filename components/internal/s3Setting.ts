import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../../storage/s3/client.ts";
import { watched } from "../pulumi/watchedResource.ts";
import { onBucket, type S3Connection, sameBucket, unless } from "./s3Connection.ts";

/** One setting of a bucket: how it is looked at and changed. */
export interface Setting<T extends object> {
  /** Its name in a sentence. */
  readonly what: string;
  /** The setting as it is found; undefined: there is none. */
  read(store: Store, declared: T): Promise<T | undefined>;
  write(store: Store, declared: T, before: T | undefined): Promise<void>;
  remove(store: Store, declared: T): Promise<void>;
  /** Whether two of them mean the same. @default deep equality */
  same?(a: T, b: T): boolean;
}

export type SettingInputs<T> = T & { readonly connection: S3Connection };

/** Tries to find a setting as it was written, one second apart: some services answer from a copy for a moment. */
const looks = 5;

/** The methods of the dynamic resource that watches over a setting. */
export function watch<T extends object>(setting: Setting<T>) {
  type Inputs = SettingInputs<T>;
  const same = setting.same ?? isDeepStrictEqual;

  async function look(store: Store, declared: T): Promise<T | undefined> {
    const found = await setting.read(store, declared);
    // What means the same stays as it was declared, so that only real differences show.
    return found !== undefined && same(found, declared) ? declared : found;
  }

  return watched<Inputs>({
    idOf: ({ connection }) => connection.bucket,

    async observe(inputs) {
      // Where the bucket is gone, so are its settings.
      const found = await onBucket(inputs.connection, `read the ${setting.what}`, (store) =>
        unless(["NoSuchBucket"], () => look(store, settingIn<T>(inputs))),
      );
      return found as Partial<Inputs> | undefined;
    },

    /** A service that takes a setting and drops it would otherwise be found out on the day of the disaster. */
    async apply(inputs, before) {
      const declared = settingIn<T>(inputs);
      await onBucket(inputs.connection, `set the ${setting.what}`, async (store) => {
        await setting.write(store, declared, before && settingIn<T>(before));
        for (let i = 0; i < looks; i++) {
          if ((await look(store, declared)) === declared) return;
          await sleep(1_000);
        }
        throw new Problem(
          `${store.address.provider.name} took the ${setting.what} of bucket ${store.address.bucket}, but does not show it: it ignores this. Take it out of what is asked with the argument abilities.`,
        );
      });
    },

    diff(olds, news) {
      const moved = !sameBucket(olds.connection, news.connection);
      const changed =
        !same(settingIn<T>(olds), settingIn<T>(news)) ||
        !isDeepStrictEqual(olds.connection, news.connection);
      return { changes: moved || changed, replaces: moved ? ["connection"] : [] };
    },

    async remove(inputs) {
      await onBucket(inputs.connection, `remove the ${setting.what}`, (store) =>
        setting.remove(store, settingIn<T>(inputs)),
      );
    },
  });
}

/** The setting alone, without the connection and the text of the provider that Pulumi keeps beside the properties. */
function settingIn<T extends object>(inputs: SettingInputs<T>): T {
  const {
    connection: _,
    __provider: __,
    ...setting
  } = inputs as SettingInputs<T> & {
    readonly __provider?: unknown;
  };
  return setting as unknown as T;
}
