import type * as pulumi from "@pulumi/pulumi";
import { retentionInDays, retentionInTiers } from "../components/bucket/retentionCheck.ts";
import {
  ScalewayBackupBucket,
  type ScalewayBackupBucketArgs,
} from "../components/bucket/scalewayBackupBucket.ts";
import {
  AwsBackupBucket,
  type AwsBackupBucketArgs,
  type BackupBucket,
  type ExistingBucket,
  type KeyAccess,
  type KeysArgs,
  type PostgresBackupArgs,
  Problem,
  S3CompatibleBucket,
  type S3CompatibleBucketArgs,
} from "../components/index.ts";
import { nameSettings } from "../components/pulumi/settingNames.ts";
import { given, key } from "./settings.ts";

/** A bucket as the configuration gives it, without its keys. */
export type Given = Pick<
  ExistingBucket,
  "name" | "endpoint" | "region" | "allowInsecure" | "caFile"
>;

/** As the configuration has it; days and tiers are those of the bucket's own rules. */
interface ConfiguredBucket extends Given {
  readonly retentionDays?: unknown;
  readonly retentionTiers?: unknown;
}

/** A bucket that is made at another service. */
type CompatiblePlace = Given & Pick<S3CompatibleBucketArgs, "adopt">;

/** A bucket that is made at Scaleway, together with the container's key. */
type ScalewayPlace = Pick<
  ScalewayBackupBucketArgs,
  "name" | "region" | "projectId" | "administrators"
>;

/** The type that each part of a bucket must have where it is given. */
const PARTS = {
  name: "string",
  region: "string",
  endpoint: "string",
  allowInsecure: "boolean",
  caFile: "string",
  prefix: "string",
  adopt: "boolean",
  projectId: "string",
} as const;

const PLACE = ["name", "endpoint", "region", "allowInsecure", "caFile"] as const;

/** The parts of each setting that describes a bucket. */
const PARTS_OF = {
  existingBucket: [...PLACE, "retentionDays", "retentionTiers"],
  copyBucket: [...PLACE, "prefix"],
  compatibleBucket: [...PLACE, "adopt"],
  scalewayBucket: ["name", "region", "projectId", "administrators"],
} as const;

/**
 * A bucket that the configuration describes, in which the types cannot see what is missing.
 * @param needed parts without which it is none
 * @throws Problem that names the key and how to set it
 */
export function bucketIn<T extends Given>(
  config: pulumi.Config,
  setting: keyof typeof PARTS_OF,
  needed: readonly (keyof T & keyof typeof PARTS)[] = ["name", "region"],
): T | undefined {
  const bucket = config.getObject<T>(setting);
  if (bucket === undefined) return undefined;
  if (!isObject(bucket)) {
    throw new Problem(
      `${key(setting)} is ${JSON.stringify(bucket)}. Set its name and region: pulumi config set --path ${setting}.name NAME, and so on`,
    );
  }
  for (const part of needed) {
    if ((bucket[part] ?? undefined) !== undefined) continue;
    throw new Problem(
      `${key(setting)} has no ${part}. Set it: pulumi config set --path ${setting}.${part} ${part.toUpperCase()}`,
    );
  }
  const parts: readonly string[] = PARTS_OF[setting];
  const unknown = Object.keys(bucket).find((part) => !parts.includes(part));
  if (unknown !== undefined) {
    throw new Problem(
      `${key(setting)} has ${unknown}, which is none of its parts: ${parts.join(", ")}. Take it out: pulumi config rm --path ${setting}.${unknown}`,
    );
  }
  for (const [part, type] of Object.entries(PARTS)) {
    const value: unknown = (bucket as Readonly<Record<string, unknown>>)[part];
    if (value === undefined || value === null || typeof value === type) continue;
    const wanted =
      type === "string" ? "a text, in quotes where it looks like a number" : "true or false";
    throw new Problem(`${key(setting)}.${part} is ${JSON.stringify(value)}. Give ${wanted}.`);
  }
  // YAML has null for a key without a value.
  const known = Object.entries(bucket).filter(
    ([part, value]) => value !== null || !(part in PARTS),
  );
  return Object.fromEntries(known) as unknown as T;
}

/** A bucket of the user's if the configuration names one, else one made at the service that it names, else on AWS. */
export function chooseBucket(name: string, config: pulumi.Config): BackupBucket {
  const existing = bucketIn<ConfiguredBucket>(config, "existingBucket");
  if (existing) return existingBucket(existing, config);
  const compatible = bucketIn<CompatiblePlace>(config, "compatibleBucket", [
    "name",
    "endpoint",
    "region",
  ]);
  if (compatible) return compatibleBucket(name, compatible, config);
  const scaleway = bucketIn<ScalewayPlace>(config, "scalewayBucket", [
    "name",
    "region",
    "projectId",
  ]);
  return scaleway === undefined ? awsBucket(name, config) : scalewayBucket(name, scaleway, config);
}

/** Settings of a bucket that is made here, of which one that exists has its own. */
const OF_MADE = ["compatibleBucket", "scalewayBucket", "lock", "noncurrentDays", "tags"];
/** Those that AWS alone has. */
const OF_AWS = ["importBucket", "kmsKey", "transitions"];

/** @throws Problem for a setting that would do nothing */
function refuseBeside(bucket: string, settings: readonly string[], config: pulumi.Config): void {
  for (const setting of settings) {
    const text = config.get(setting);
    if (!text || text === "0") continue;
    throw new Problem(
      `${key(setting)} does nothing beside ${key(bucket)}. Keep one of them: pulumi config rm ${setting}, or pulumi config rm ${bucket}`,
    );
  }
}

function existingBucket(existing: ConfiguredBucket, config: pulumi.Config): ExistingBucket {
  if ((config.getObject<unknown>("retentionTiers") ?? undefined) !== undefined) {
    throw new Problem(
      "retentionTiers is for a bucket made here. Where existingBucket's own rules have folders for tiers, say so in it: pulumi config set --path existingBucket.retentionTiers.daily 7, and so on",
    );
  }
  refuseBeside("existingBucket", [...OF_MADE, ...OF_AWS], config);
  const { retentionDays, retentionTiers, ...bucket } = existing;
  return {
    ...bucket,
    ...(retentionDays !== undefined && {
      retention: retentionInDays(retentionDays, key("existingBucket.retentionDays")),
    }),
    ...((retentionTiers ?? undefined) !== undefined && {
      retention: retentionInTiers(retentionTiers, key("existingBucket.retentionTiers")),
    }),
    accessKeyId: config.requireSecret("accessKeyId"),
    secretAccessKey: config.requireSecret("secretAccessKey"),
  } as ExistingBucket;
}

/** What every bucket made here is asked for. */
type Keeping = Pick<
  AwsBackupBucketArgs,
  "retention" | "noncurrentRetention" | "prefix" | "lock" | "forceDestroy" | "pointInTime"
> & { readonly tags?: Readonly<Record<string, string>> };

/** @param taken the bucket exists, so that its rules are for a folder alone */
function keepingIn(config: pulumi.Config, taken: boolean): Keeping {
  const tiers = config.getObject<unknown>("retentionTiers") ?? undefined;
  const noncurrentDays = config.getNumber("noncurrentDays") ?? 0;
  const tags = config.getObject<Readonly<Record<string, unknown>>>("tags");
  const prefix = config.get("prefix");
  const { pointInTime } = pointInTimeIn(config);
  const wrong = Object.entries(tags ?? {}).find(([, value]) => typeof value !== "string");
  if (wrong !== undefined) {
    throw new Problem(
      `${key("tags")}.${wrong[0]} is ${JSON.stringify(wrong[1])}. Give a text, in quotes where it looks like a number.`,
    );
  }
  return {
    retention:
      tiers === undefined
        ? retentionInDays(config.getNumber("retentionDays") ?? 30, key("retentionDays"))
        : retentionInTiers(tiers, key("retentionTiers")),
    ...(noncurrentDays !== 0 && {
      noncurrentRetention: retentionInDays(noncurrentDays, key("noncurrentDays")),
    }),
    // Without tiers the rules of a new bucket are for the whole of it, so that a change of the prefix leaves nothing behind.
    ...((taken || tiers !== undefined) && given("prefix", prefix)),
    ...lockIn(config),
    // Its rules are for folders below that of the backups, which is not known here where deploy.yml names it.
    ...(pointInTime && prefix && { pointInTime: { ...pointInTime, prefix } }),
    forceDestroy: config.getBoolean("forceDestroy") ?? false,
    ...(tags && { tags: tags as Readonly<Record<string, string>> }),
  };
}

/** What messages about the rules of a bucket made here call its arguments. */
const RULES_WORDS = {
  prefix: key("prefix"),
  "pointInTime.keep": key("pointInTimeKeep"),
  "pointInTime.base": key("pointInTimeBase"),
  "pointInTime.prefix": key("prefix"),
};

function lockIn(config: pulumi.Config): {
  readonly lock?: NonNullable<AwsBackupBucketArgs["lock"]>;
} {
  const lock = config.getObject<{ readonly mode?: unknown } | null>("lock") ?? undefined;
  if (lock === undefined) return {};
  if (isObject(lock) && (lock.mode === "governance" || lock.mode === "compliance")) {
    return { lock: lock as NonNullable<AwsBackupBucketArgs["lock"]> };
  }
  throw new Problem(
    `${key("lock")} is ${JSON.stringify(lock)}. Give its mode, governance or compliance, and its days: { mode: governance, days: 14 }.`,
  );
}

function awsBucket(name: string, config: pulumi.Config): AwsBackupBucket {
  const transitions = config.getObject<AwsBackupBucketArgs["transitions"]>("transitions");
  if (
    transitions !== undefined &&
    !(Array.isArray(transitions) && transitions.every(isTransition))
  ) {
    throw new Problem(
      `${key("transitions")} is ${JSON.stringify(transitions)}. Give a list: [{ days: 30, storageClass: STANDARD_IA }].`,
    );
  }
  const taken = config.get("importBucket");
  const args: AwsBackupBucketArgs = {
    ...keepingIn(config, Boolean(taken)),
    ...given("import", taken),
    ...given("endpoint", config.get("s3Endpoint")),
    allowInsecure: config.getBoolean("s3AllowInsecure") ?? false,
    ...given("kmsKey", config.get("kmsKey")),
    denyOverwrite: config.getBoolean("denyOverwrite") ?? true,
    ...(transitions && { transitions }),
  };
  const words = {
    ...RULES_WORDS,
    import: key("importBucket"),
    endpoint: key("s3Endpoint"),
    allowInsecure: key("s3AllowInsecure"),
  };
  return new AwsBackupBucket(`${name}-backups`, nameSettings(args, words));
}

function isTransition(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value["days"] === "number" &&
    typeof value["storageClass"] === "string"
  );
}

function compatibleBucket(
  name: string,
  place: CompatiblePlace,
  config: pulumi.Config,
): S3CompatibleBucket {
  refuseBeside("compatibleBucket", ["scalewayBucket", ...OF_AWS, "s3Endpoint"], config);
  const accessKeyId = config.getSecret("accessKeyId");
  const secretAccessKey = config.getSecret("secretAccessKey");
  const args = {
    ...place,
    ...keepingIn(config, place.adopt === true),
    administrator: {
      accessKeyId: config.requireSecret("administratorKeyId"),
      secretAccessKey: config.requireSecret("administratorSecretKey"),
    },
    ...(accessKeyId && secretAccessKey && { writer: { accessKeyId, secretAccessKey } }),
  } as S3CompatibleBucketArgs;
  const own = ["name", "endpoint", "region", "allowInsecure", "caFile", "adopt"];
  const words = {
    ...Object.fromEntries(own.map((part) => [part, key(`compatibleBucket.${part}`)])),
    ...RULES_WORDS,
    "administrator.accessKeyId": key("administratorKeyId"),
    "administrator.secretAccessKey": key("administratorSecretKey"),
    "writer.accessKeyId": key("accessKeyId"),
    "writer.secretAccessKey": key("secretAccessKey"),
  };
  return new S3CompatibleBucket(`${name}-backups`, nameSettings(args, words));
}

function scalewayBucket(
  name: string,
  place: ScalewayPlace,
  config: pulumi.Config,
): ScalewayBackupBucket {
  const keys = ["accessKeyId", "secretAccessKey"];
  refuseBeside("scalewayBucket", [...OF_AWS, "s3Endpoint", ...keys], config);
  const { administrators } = place;
  if (!(Array.isArray(administrators) && administrators.every((one) => typeof one === "string"))) {
    throw new Problem(
      `${key("scalewayBucket.administrators")} is ${JSON.stringify(administrators ?? null)}. Give a list with at least whoever runs Pulumi: ["application_id:ID"].`,
    );
  }
  const { name: bucket, region, projectId } = place;
  const args: ScalewayBackupBucketArgs = {
    ...{ name: bucket, region, projectId, administrators },
    ...keepingIn(config, false),
    keys: keysIn(config),
  };
  const own = ["name", "region", "projectId", "administrators"];
  const words = {
    ...Object.fromEntries(own.map((part) => [part, key(`scalewayBucket.${part}`)])),
    ...RULES_WORDS,
    lock: key("lock"),
  };
  return new ScalewayBackupBucket(`${name}-backups`, nameSettings(args, words));
}

/** Switched on by the days that it is to reach back. */
export function pointInTimeIn(config: pulumi.Config): Pick<PostgresBackupArgs, "pointInTime"> {
  const keep = config.get("pointInTimeKeep");
  if (!keep) {
    if (!config.get("pointInTimeBase")) return {};
    throw new Problem(
      `${key("pointInTimeBase")} is set, but no base backup is taken without point-in-time recovery. Set that too: pulumi config set pointInTimeKeep 14d`,
    );
  }
  return {
    pointInTime: {
      keep,
      ...given("base", config.get("pointInTimeBase")),
      ...given("rpo", config.get("pointInTimeRpo")),
      ...given("serverDisk", config.get("pointInTimeServerDisk")),
    },
  };
}

/** What the container's key may do, and when it is replaced. */
export function keysIn(config: pulumi.Config): KeysArgs {
  return {
    access:
      config.get<KeyAccess>("keyAccess", { allowedValues: ["restorable", "append-only"] }) ??
      "restorable",
    ...given("rotateAfter", config.get("rotateAfter")),
  };
}

/** The words for the arguments of the bucket, which is the user's or made here. */
export function bucketWords(config: pulumi.Config): Record<string, string> {
  const existing = config.getObject<ConfiguredBucket>("existingBucket");
  const retention = (tiers: unknown) => (tiers ? "retentionTiers" : "retentionDays");
  if (existing) {
    return {
      bucket: key("existingBucket"),
      "bucket.accessKeyId": key("accessKeyId"),
      "bucket.secretAccessKey": key("secretAccessKey"),
      "bucket.retention": key(`existingBucket.${retention(existing.retentionTiers)}`),
    };
  }
  const made = {
    retention: key(retention(config.getObject("retentionTiers"))),
    "bucket.pointInTime": key("prefix"),
  };
  if (config.getObject("compatibleBucket") !== undefined) {
    return {
      ...made,
      bucket: key("compatibleBucket"),
      "bucket.writer.accessKeyId": key("accessKeyId"),
      "bucket.writer.secretAccessKey": key("secretAccessKey"),
    };
  }
  if (config.getObject("scalewayBucket") !== undefined) {
    return {
      ...made,
      bucket: key("scalewayBucket"),
      "bucket.endpoint": key("scalewayBucket.region"),
    };
  }
  return {
    ...made,
    "bucket.endpoint": key("s3Endpoint"),
    "bucket.region": "aws:region",
    "bucket.allowInsecure": key("s3AllowInsecure"),
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
