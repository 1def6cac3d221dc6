import * as pulumi from "@pulumi/pulumi";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import type { Schedule } from "../../common/schedule/schedule.ts";
import { isSameBucket, parseAddress } from "../../storage/address/address.ts";
import { other } from "../../storage/address/providers.ts";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import type { BackupKeys, BackupKeysArgs, KeysArgs } from "../bucket/backupKeys.ts";
import type { BackupBucket, Location } from "../bucket/bucket.ts";
import { type BucketAccess, createBucketAccess } from "../bucket/bucketAccess.ts";
import { keepingIn, type ResolvedBucket, resolveBucket } from "../bucket/resolveBucket.ts";
import { checkRetention, type Rhythm } from "../bucket/retentionCheck.ts";
import { applyReportingProblems, logOf, type ResourceLog } from "../pulumi/resourceMessages.ts";
import { below, type SettingName } from "../pulumi/settingNames.ts";
import { copyRhythm, resolveSchedule, rpoHours } from "./rhythm.ts";

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

/** A copy, as far as it is known before a resource is made. */
export interface ResolvedCopy {
  readonly args: CopyArgs;
  readonly every: Schedule | undefined;
  readonly rhythm: Rhythm;
  readonly bucket: ResolvedBucket;
  /** Days until a copy expires, or the container deletes it. */
  readonly retentionDays: number | undefined;
}

export interface CopyOptions {
  readonly args: CopyArgs;
  /** The first bucket, as it was given and as it was resolved. */
  readonly original: BackupBucket;
  readonly originalBucket: ResolvedBucket;
  /** Rhythm of the backups. */
  readonly schedule: Schedule;
  /** What the key for the backups may do, if that was given. */
  readonly access: KeyAccess | undefined;
  readonly backupBytes: number | undefined;
  /** Days after which the container deletes. */
  readonly keepDays: number | undefined;
  /** How messages name the arguments. */
  readonly name: SettingName;
}

/**
 * Resolves the second bucket as the first one is resolved, and proves its retention with the copies' rhythm.
 * @throws Problem that names the argument
 */
export function resolveCopy(options: CopyOptions, log: ResourceLog): ResolvedCopy {
  const { args, original, originalBucket, schedule, backupBytes, keepDays, name } = options;
  const every =
    args.every === undefined ? undefined : resolveSchedule(name("copy.every"), args.every);
  if (args.bucket === original) throw sameBucket(undefined, name);
  const rhythm = copyRhythm(schedule, every);
  const keeping = keepingIn(args.bucket);
  if (keeping) {
    // The price that the user gives for a gigabyte is that of the first bucket.
    const amounts = backupBytes === undefined ? {} : { backupBytes };
    const names = {
      schedule: name(every === undefined ? "schedule" : "copy.every"),
      retention: name("copy.bucket.retention"),
      backupBytes: name("backupBytes"),
    };
    checkRetention({ rhythm, keeping, amounts, names, subject: name("copy.bucket") }, log);
  }
  const { keys = {} } = args;
  const fixed = "keyAccess" in args.bucket ? args.bucket.keyAccess : undefined;
  const access = fixed ?? keys.access ?? options.access ?? "restorable";
  if (access === "append-only" && every !== undefined) {
    const setting = name("copy.every");
    log.warn(
      `${setting}: the key for the copies is append-only and cannot see how old the newest copy is, so every backup is copied. Leave ${setting} out, or set ${name("copy.keys.access")} to "restorable".`,
    );
  }
  const bucket = resolveBucket(
    {
      bucket: args.bucket,
      prefix: args.prefix ?? originalBucket.place.prefix,
      keys: fixed === undefined ? { ...keys, access } : keys,
      name: below("copy", name),
    },
    log,
  );
  if (access === "append-only" && bucket.tiered) {
    throw new Problem(
      `${name("copy")}: a key that is "append-only" and retention tiers contradict each other: a key that may not list the bucket cannot know which copy is a month's first. Set ${name("copy.keys.access")} to "restorable", or take the tiers out.`,
    );
  }
  if (originalBucket.location && bucket.location) {
    compare(originalBucket.location, bucket.location, name);
  }
  return { args, every, rhythm, bucket, retentionDays: keptDays(bucket, keepDays) };
}

/** A copy whose keys are made or tried. */
export interface CreatedCopy {
  /** Keys that were made; undefined for a bucket with keys of its own or of its owner. */
  readonly keys: BackupKeys | undefined;
  readonly settings: pulumi.Output<NonNullable<AgentSettings["copy"]>>;
  readonly outputs: pulumi.Output<NonNullable<BackupOutputs["copy"]>>;
}

export interface CopyCreation {
  readonly parent: pulumi.Resource;
  /** Name of the backup. */
  readonly name: string;
  readonly copy: ResolvedCopy;
  readonly original: BucketAccess;
  readonly jitterSeconds: number | undefined;
  /** How messages name the arguments. */
  readonly settingName: SettingName;
}

/** Makes or tries the keys for the copies. */
export function createCopy(options: CopyCreation): CreatedCopy {
  const { parent, name, copy, original, jitterSeconds, settingName } = options;
  const { every, bucket, rhythm, retentionDays } = copy;
  const access = createBucketAccess({
    parent,
    name: `${name}-copy`,
    bucket,
    transform: copy.args.transform?.keys,
  });
  const location = applyReportingProblems(
    parent,
    pulumi.all([original.location, access.location]),
    ([first, second]) => {
      const { sharedService } = compare(first, second, settingName);
      if (sharedService !== undefined) {
        logOf(parent).warn(
          `${settingName("copy.bucket")} is at ${sharedService} as the first one is: what closes the account or takes the provider down takes both. A copy at another provider outlives that.`,
        );
      }
      return second;
    },
  );
  return {
    keys: access.keys,
    settings: pulumi
      .all([location, access.accessKeyId, access.secretAccessKey])
      .apply(([place, accessKeyId, secretAccessKey]) => ({
        store: {
          ...place,
          accessKeyId,
          secretAccessKey,
          allowInsecure: bucket.place.allowInsecure,
          ...(bucket.checksums && { checksums: bucket.checksums }),
        },
        ...(every && { every: every.toString() }),
        tiers: bucket.tiered,
      })),
    outputs: pulumi.all([location, pulumi.unsecret(access.accessKeyId)]).apply(
      ([place, writerKeyId]): NonNullable<BackupOutputs["copy"]> => ({
        location: place,
        writerKeyId,
        rpoHours: rpoHours(rhythm, jitterSeconds),
        ...(retentionDays !== undefined && { retentionDays }),
        ...(bucket.tierDays && { tierDays: bucket.tierDays }),
      }),
    ),
  };
}

/** A key that was made cannot delete, and copies in tiers are left to the folders' own rules. */
function keptDays(
  { retentionDays, keys, tiered }: ResolvedBucket,
  keepDays: number | undefined,
): number | undefined {
  if (retentionDays === undefined || keepDays === undefined) return retentionDays;
  return keys.from !== "owner" || tiered ? retentionDays : Math.min(retentionDays, keepDays);
}

/**
 * Compares the two places.
 * @returns the service that both buckets are at, if it is one
 * @throws Problem when they are the same bucket
 */
function compare(
  original: Location,
  copy: Location,
  name: SettingName,
): { readonly sharedService: string | undefined } {
  const a = parseAddress({ ...original, allowInsecure: true });
  const b = parseAddress({ ...copy, allowInsecure: true });
  if (isSameBucket(a, b)) throw sameBucket(copy.bucket, name);
  const unknown = a.provider.name === other.name;
  const same = unknown ? a.endpoint === b.endpoint : a.provider.name === b.provider.name;
  return { sharedService: same ? (unknown ? a.endpoint : a.provider.name) : undefined };
}

function sameBucket(bucket: string | undefined, name: SettingName): Problem {
  return new Problem(
    `${name("copy.bucket")} is the bucket ${bucket === undefined ? "" : `"${bucket}" `}of the backups themselves, and a copy in the same bucket protects from nothing. Give another bucket, best at another provider.`,
  );
}
