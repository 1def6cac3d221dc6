import { isDeepStrictEqual } from "node:util";
import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  type LifecycleRule as ServiceRule,
} from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { conflicts, isOwn, mergeRules } from "../../storage/bucket/lifecycleMerge.ts";
import { fromService } from "../../storage/bucket/lifecycleTranslation.ts";
import type { Store } from "../../storage/s3/client.ts";
import { unless } from "./s3Connection.ts";
import { watch } from "./s3Setting.ts";

export interface LifecycleSetting {
  /** Whose rules these are; the rules of others in the same bucket are left alone. */
  readonly owner: string;
  readonly rules: readonly LifecycleRule[];
  /** Rules of others that expire our backups sooner, one phrase each; none is declared. */
  readonly conflicts: readonly string[];
}

const { check, create, read, diff, update, remove } = watch<LifecycleSetting>({
  what: "lifecycle",
  same: (a, b) =>
    a.owner === b.owner &&
    isDeepStrictEqual(byId(a.rules), byId(b.rules)) &&
    isDeepStrictEqual(a.conflicts, b.conflicts),

  async read(store, { owner, rules: declared }) {
    const { rules: found } = await lifecycleOf(store);
    const rules = found.filter(({ ID }) => isOwn(owner, ID)).map(fromService);
    if (rules.length === 0) return undefined;
    // In the order of the program, so that a difference shows at the rule that changed.
    const place = ({ id }: LifecycleRule) => declared.findIndex((rule) => rule.id === id);
    return {
      owner,
      rules: rules.toSorted((a, b) => place(a) - place(b)),
      conflicts: conflicts(found, owner, declared),
    };
  },

  async write(store, { owner, rules }, before) {
    const { rules: found, minimumSize } = await lifecycleOf(store);
    const others = before ? mergeRules(found, before.owner, []) : found;
    const [sooner] = conflicts(others, owner, rules);
    if (sooner !== undefined) {
      throw new Problem(
        `bucket ${store.address.bucket}: ${sooner}. It is not ours to remove: take it out, limit it to another folder, or keep backups no longer than that.`,
      );
    }
    await put(store, mergeRules(others, owner, rules), minimumSize);
  },

  async remove(store, { owner }) {
    const { rules: found, minimumSize } = await lifecycleOf(store);
    await put(store, mergeRules(found, owner, []), minimumSize);
  },
});

export { check, create, diff, read, remove as delete, update };

function byId(rules: readonly LifecycleRule[]): LifecycleRule[] {
  return rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

async function lifecycleOf({ client, address }: Store) {
  const found = await unless(["NoSuchLifecycleConfiguration"], () =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: address.bucket })),
  );
  return {
    rules: found?.Rules ?? [],
    minimumSize: found?.TransitionDefaultMinimumObjectSize,
  };
}

async function put(
  { client, address }: Store,
  Rules: ServiceRule[],
  minimumSize: Awaited<ReturnType<typeof lifecycleOf>>["minimumSize"],
): Promise<void> {
  const Bucket = address.bucket;
  if (Rules.length === 0) {
    await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
    return;
  }
  await client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: { Rules },
      ...(minimumSize && { TransitionDefaultMinimumObjectSize: minimumSize }),
    }),
  );
}
