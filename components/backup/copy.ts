import * as pulumi from "@pulumi/pulumi";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { Schedule } from "../../common/schedule/schedule.ts";
import { isSameBucket, parseAddress, type StoreAddress } from "../../storage/address/address.ts";
import { other } from "../../storage/address/providers.ts";
import { AwsBackupBucket } from "../bucket/awsBackupBucket.ts";
import type { BackupKeys, BackupKeysArgs, KeysArgs } from "../bucket/backupKeys.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import {
  keepingIn,
  type Location,
  type SettledBucket,
  settleBucket,
} from "../bucket/resolveBucket.ts";
import { checkRetention } from "../bucket/retentionCheck.ts";
import { explained, explainedApply } from "../pulumi/resourceError.ts";
import { copyRhythm } from "./copyRhythm.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import { rpoHours } from "./recoveryPoint.ts";

/** A second bucket that gets the same backups from the same stream, for the day on which the first one is gone. */
export interface CopyArgs {
  /**
   * Where the copies go, as `PostgresBackup.bucket`: best at another provider, at least in another account. It expires them
   * by its own rules, and has keys of its own; where such a key may delete, `keep` is for the copies too, unless they go
   * into tiers.
   */
  readonly bucket: BackupBucket;
  /** Folder in that bucket. @default that of the backups */
  readonly prefix?: string;
  /**
   * How often a backup is copied: the first one at or after each of these times, UTC. The newest copy counts, so the key
   * must be able to list; with `append-only` every backup is copied.
   * @default each backup is copied
   * @example "@daily"
   */
  readonly every?: Schedule | string;
  /** What the key for the copies may do, and when it is replaced. @default what the other one may do, never replaced */
  readonly keys?: KeysArgs;
  /** Changes to the arguments of the keys' children. */
  readonly transform?: { readonly keys?: NonNullable<BackupKeysArgs["transform"]> };
}

export interface SettledCopy {
  /** Keys that were made; absent for a bucket of the user's. */
  readonly keys: BackupKeys | undefined;
  /** The keys were made just now, so that the service may not know them everywhere yet. */
  readonly madeKeys: boolean;
  readonly settings: pulumi.Output<NonNullable<AgentSettings["copy"]>>;
  readonly outputs: pulumi.Output<NonNullable<BackupOutputs["copy"]>>;
}

/**
 * Takes the second bucket as the first one is taken: its keys made or tried, its retention proved with the copies' rhythm.
 * @param original the first bucket
 * @returns undefined when no copy is asked for
 */
export function settleCopy(
  parent: pulumi.Resource,
  name: string,
  backup: PostgresBackupArgs,
  original: SettledBucket,
  backupPrefix: string,
  schedule: Schedule,
): SettledCopy | undefined {
  const args = backup.copy;
  if (args === undefined) return undefined;
  const { jitterSeconds, backupBytes } = backup;
  const every = explained(parent, () => toSchedule(args.every));
  explained(parent, () => refuseSame(args.bucket, backup.bucket));
  const rhythm = copyRhythm(schedule, every);
  const keeping = explained(parent, () => keepingIn(args.bucket));
  if (keeping) {
    // The price that the user gives for a gigabyte is that of the first bucket.
    const amounts = backupBytes === undefined ? {} : { backupBytes };
    checkRetention(parent, rhythm, keeping, amounts, "copy.bucket: ");
  }
  const { keys = {} } = args;
  const made = "keyAccess" in args.bucket ? args.bucket.keyAccess : undefined;
  const access = made ?? keys.access ?? backup.keys?.access ?? "restorable";
  if (access === "append-only" && every !== undefined) {
    pulumi.log.warn(
      `copy.every: the key for the copies is append-only and cannot see how old the newest copy is, so every backup is copied. Leave copy.every out, or set copy.keys.access to "restorable".`,
      parent,
    );
  }
  const prefix = args.prefix ?? backupPrefix;
  const settled = settleBucket(
    parent,
    `${name}-copy`,
    args.bucket,
    prefix,
    made === undefined ? { ...keys, access } : keys,
    args.transform?.keys,
  );
  if (access === "append-only" && settled.tiered) {
    explained(parent, () => {
      throw new Problem(
        `copy: a key that is "append-only" and retention tiers contradict each other: a key that may not list the bucket cannot know which copy is a month's first. Set copy.keys.access to "restorable", or take the tiers out.`,
      );
    });
  }
  const location = apart(parent, original, settled);
  const retentionDays = keptDays(settled, backup.keep);
  return {
    keys: settled.keys,
    madeKeys: settled.keys !== undefined || settled.madeKeys === true,
    settings: pulumi
      .all([location, settled.accessKeyId, settled.secretAccessKey])
      .apply(([place, accessKeyId, secretAccessKey]) => ({
        store: {
          ...place,
          accessKeyId,
          secretAccessKey,
          allowInsecure: settled.allowInsecure,
          ...(settled.checksums && { checksums: settled.checksums }),
        },
        ...(every && { every: every.toString() }),
        tiers: settled.tiered ?? false,
      })),
    outputs: pulumi.all([location, pulumi.unsecret(settled.accessKeyId)]).apply(
      ([place, writerKeyId]): NonNullable<BackupOutputs["copy"]> => ({
        location: place,
        writerKeyId,
        rpoHours: rpoHours(rhythm, jitterSeconds),
        ...(retentionDays !== undefined && { retentionDays }),
        ...(settled.tierDays && { tierDays: settled.tierDays }),
      }),
    ),
  };
}

/** A key that was made cannot delete, and copies in tiers are left to the folders' own rules. */
function keptDays(
  { retentionDays, keys, madeKeys, tiered }: SettledBucket,
  keep: PostgresBackupArgs["keep"],
): number | undefined {
  if (retentionDays === undefined || keep === undefined) return retentionDays;
  return keys || madeKeys || tiered ? retentionDays : Math.min(retentionDays, keep.days);
}

/** The container's settings with those of the copy, if there is one. */
export function withCopy(
  settings: pulumi.Output<AgentSettings>,
  copy: SettledCopy | undefined,
): pulumi.Output<AgentSettings> {
  if (copy === undefined) return settings;
  return pulumi.all([settings, copy.settings]).apply(([all, own]) => ({ ...all, copy: own }));
}

function toSchedule(every: CopyArgs["every"]): Schedule | undefined {
  if (typeof every !== "string") return every;
  try {
    return Schedule.parse(every);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(error.message.replace(/^schedule/, "copy.every"), { cause: error });
  }
}

/** What is plain is judged at once: an error in a value that others wait for is reported with all their names. */
function refuseSame(copy: BackupBucket, original: BackupBucket): void {
  const [a, b] = [plainAddress(copy), plainAddress(original)];
  if (copy === original || (a && b && isSameBucket(a, b))) throw sameBucket(a?.bucket);
}

function plainAddress(bucket: BackupBucket): StoreAddress | undefined {
  if (bucket instanceof AwsBackupBucket || "writer" in bucket) return undefined;
  const { name, endpoint, region, allowInsecure } = bucket;
  if (typeof name !== "string" || typeof region !== "string") return undefined;
  if (endpoint !== undefined && typeof endpoint !== "string") return undefined;
  return parseAddress({ endpoint, region, bucket: name, prefix: "any", allowInsecure });
}

/** The copy's location, once it is known to be another one; a warning where one failure may take both. */
function apart(
  parent: pulumi.Resource,
  original: SettledBucket,
  copy: SettledBucket,
): pulumi.Output<Location> {
  return explainedApply(
    parent,
    pulumi.all([original.location, copy.location]),
    ([first, second]): Location => {
      const a = parseAddress({ ...first, allowInsecure: true });
      const b = parseAddress({ ...second, allowInsecure: true });
      if (isSameBucket(a, b)) throw sameBucket(second.bucket);
      const sameService =
        a.provider.name === other.name
          ? a.endpoint === b.endpoint
          : a.provider.name === b.provider.name;
      if (sameService) {
        const service = a.provider.name === other.name ? a.endpoint : a.provider.name;
        pulumi.log.warn(
          `copy.bucket is at ${service} as the first one is: what closes the account or takes the provider down takes both. A copy at another provider outlives that.`,
          parent,
        );
      }
      return second;
    },
  );
}

function sameBucket(name: string | undefined): Problem {
  return new Problem(
    `copy.bucket is the bucket ${name === undefined ? "" : `"${name}" `}of the backups themselves, and a copy in the same bucket protects from nothing. Give another bucket, best at another provider.`,
  );
}
