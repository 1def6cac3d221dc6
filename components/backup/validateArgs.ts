import { existsSync } from "node:fs";
import { DEFAULT_KEEP_AT_LEAST } from "../../common/contracts/agentEnvironment/backup.ts";
import { readDumpOptions } from "../../common/contracts/agentEnvironment/dumpOptions.ts";
import { transientTablesFault } from "../../common/contracts/tablePattern.ts";
import { Problem } from "../../common/problem.ts";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import { AwsBackupBucket } from "../bucket/awsBackupBucket.ts";
import { isTiered, retentionName } from "../bucket/resolveBucket.ts";
import { checkSigning } from "../bucket/signingKey.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { checkAuthority, checkDatabaseTls } from "./certificateAuthority.ts";
import { memoryBytes } from "./memory.ts";
import { checkScratch } from "./mounts.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import { checkDrill } from "./rhythm.ts";

/**
 * Judges what the types do not: a program in TypeScript may have its values from a configuration, and two of them may
 * contradict each other.
 * @param name how messages name the arguments
 * @throws Problem that names the argument, what was given and what to do
 */
export function checkArgs(args: PostgresBackupArgs, name: SettingName): void {
  const { jitterSeconds = 0, compressionLevel = 1, maxShrinkPercent = 50, keep } = args;
  checkNumber(name("jitterSeconds"), jitterSeconds, 0, 86_400);
  checkNumber(name("compressionLevel"), compressionLevel, 1, 3);
  checkNumber(name("maxShrinkPercent"), maxShrinkPercent, 1, 100);
  // Node's timers hold no more: 2^31 milliseconds.
  if (args.maxRunHours !== undefined) checkNumber(name("maxRunHours"), args.maxRunHours, 1, 596);
  const fault = transientTablesFault(args.transientTables ?? []);
  if (fault !== null) throw new Problem(`${name("transientTables")} ${fault}`);
  checkDumpOptions(args.dumpOptions ?? [], name("dumpOptions"));
  if (args.signing !== undefined) checkSigning(args.signing, name);
  if (args.memory !== undefined) memoryBytes(args.memory, name);
  checkAuthority(args, name);
  checkDatabaseTls(args.postgres ?? {}, name);
  if (args.scratch !== undefined) checkScratch(args.scratch, name);
  if (keep !== undefined) checkKeep(keep, args, name);
  checkBeforeDeploy(args, name);
  if (args.drill !== undefined) {
    checkDrill(args.drill, isTiered(args.bucket) ? undefined : daysOf(args.bucket), name);
  }
  if (args.pull !== undefined && !existsSync(args.pull.mask)) {
    throw new Problem(
      `${name("pull.mask")}: there is no file ${args.pull.mask}. Give its path from the folder of Pulumi.yaml.`,
    );
  }
  if (accessOf(args) === "append-only" && isTiered(args.bucket)) {
    throw new Problem(
      `${name("keys.access")} "append-only" and retention tiers contradict each other: a key that may not list the bucket cannot know which backup is a month's first. Set ${name("keys.access")} to "restorable", or take the tiers out (${retentionName(args.bucket, name)}).`,
    );
  }
}

function checkBeforeDeploy(args: PostgresBackupArgs, name: SettingName): void {
  const { maxAgeMinutes = 0 } = args.beforeDeploy ?? {};
  const setting = name("beforeDeploy.maxAgeMinutes");
  checkNumber(setting, maxAgeMinutes, 0, 10_080);
  if (maxAgeMinutes > 0 && accessOf(args) === "append-only") {
    throw new Problem(
      `${setting} and ${name("keys.access")} "append-only" contradict each other: a key that may not list the bucket cannot know how old the newest backup is. Take ${setting} out, so that each deploy takes a new one.`,
    );
  }
}

function checkNumber(setting: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new Problem(`${setting} ${value} must be a whole number from ${least} to ${most}.`);
}

function checkDumpOptions(options: readonly string[], setting: string): void {
  const spaced = options.find((word) => word === "" || /\s/.test(word));
  if (spaced !== undefined) {
    throw new Problem(
      `${setting}: "${spaced}" must be one word, since the container splits its options at white space. Write --name=value, each option by itself.`,
    );
  }
  const read = readDumpOptions(options.join(" "));
  if ("fault" in read) throw new Problem(`${setting} ${read.fault}`);
}

function checkKeep(
  { days, atLeast = DEFAULT_KEEP_AT_LEAST }: NonNullable<PostgresBackupArgs["keep"]>,
  { bucket, keys }: PostgresBackupArgs,
  name: SettingName,
): void {
  const setting = name("keep");
  checkNumber(name("keep.days"), days, 1, 36_500);
  checkNumber(name("keep.atLeast"), atLeast, 1, 10_000);
  if (bucket instanceof AwsBackupBucket || ("keyAccess" in bucket && bucket.keyAccess)) {
    throw new Problem(
      `${setting}: the key that is made for the container cannot delete, so that nobody who steals the host can remove backups. Take ${setting} out: the bucket's own retention expires them.`,
    );
  }
  if (keys?.access === "append-only") {
    throw new Problem(
      `${setting} and ${name("keys.access")} "append-only" contradict each other: the container would delete backups that it may not even list. Take ${setting} out, or declare "restorable" with a key that may delete.`,
    );
  }
  if (isTiered(bucket)) {
    throw new Problem(
      `${setting} and retention tiers contradict each other: weekly and monthly backups would go after ${days} days, too. Take ${setting} out, or the tiers (${retentionName(bucket, name)}): the rules of the tiers' folders expire them.`,
    );
  }
  const longest = daysOf(bucket);
  if (longest !== undefined && longest < days) {
    throw new Problem(
      `${setting} and ${retentionName(bucket, name)} contradict each other: ${name("keep.days")} is ${days}, but the bucket's own rule expires every backup after ${longest} days. Keep at most ${longest} days, or give the bucket a longer retention.`,
    );
  }
}

/** Days after which the bucket's own rule expires what is not in a tier; undefined: not known here. */
function daysOf(bucket: PostgresBackupArgs["bucket"]): number | undefined {
  return "retentionDays" in bucket ? bucket.retentionDays : bucket.retention?.days;
}

/** What the container's key may do; a bucket that makes the keys decides it. undefined: the default. */
export function accessOf({ bucket, keys }: PostgresBackupArgs): KeyAccess | undefined {
  return ("keyAccess" in bucket ? bucket.keyAccess : undefined) ?? keys?.access;
}
