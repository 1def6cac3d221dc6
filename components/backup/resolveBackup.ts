import type { Schedule } from "../../common/schedule/schedule.ts";
import { deployHook, type HookBlock } from "../accessory/deployGate.ts";
import {
  describeDestinations,
  describeUngated,
  refuseMixedAccessories,
} from "../accessory/destinations.ts";
import { type BootByKamal, resolveDriver } from "../accessory/driver.ts";
import {
  type AccessoryNames,
  accessoryNames,
  type KamalProject,
  type RegistryLogin,
  readKamalProject,
  secretPrefix,
} from "../accessory/kamalProject.ts";
import { checkReplaced, describeOtherBackups } from "../accessory/otherBackups.ts";
import { resolveSshAccess, type SshAccess } from "../accessory/sshConnection.ts";
import { AwsBackupBucket } from "../bucket/awsBackupBucket.ts";
import {
  keepingIn,
  type ResolvedBucket,
  resolveBucket,
  retentionName,
} from "../bucket/resolveBucket.ts";
import { checkRetention } from "../bucket/retentionCheck.ts";
import { type ResolvedImage, resolveImage } from "../image/resolveImage.ts";
import {
  checkPointInTimeRetention,
  type PointInTimeKeeping,
} from "../pointInTime/pointInTimeRetention.ts";
import { type ResolvedPointInTime, resolvePointInTime } from "../pointInTime/resolvePointInTime.ts";
import { serverContainer } from "../pointInTime/serverPlace.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import { type SettingName, settingNamesOf } from "../pulumi/settingNames.ts";
import { type ResolvedCopy, resolveCopy } from "./copy.ts";
import { warnUnencrypted } from "./encryption.ts";
import { checkMemory } from "./memory.ts";
import { checkNotices } from "./notices.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import { type Database, resolveDatabase } from "./resolveDatabase.ts";
import { resolveSchedule } from "./rhythm.ts";
import { checkArgs } from "./validateArgs.ts";

/** A backup, as far as it is known before a resource is made. */
export interface ResolvedBackup {
  readonly args: PostgresBackupArgs;
  /** How messages name the arguments. */
  readonly name: SettingName;
  readonly schedule: Schedule;
  readonly project: KamalProject;
  readonly accessory: AccessoryNames;
  /** What the names of its secrets begin with among Kamal's. */
  readonly secretPrefix: string;
  readonly database: Database;
  readonly access: SshAccess;
  readonly image: ResolvedImage;
  /** Login of the registry; undefined where there is none, or none is needed. */
  readonly registry: RegistryLogin | undefined;
  readonly bucket: ResolvedBucket;
  /** Undefined: `pulumi up` boots it over SSH. */
  readonly bootByKamal: BootByKamal | undefined;
  /** Undefined when deploys do not wait for a backup. */
  readonly deployHook: HookBlock | undefined;
  /** Undefined when no copy is asked for. */
  readonly copy: ResolvedCopy | undefined;
  /** Undefined where it is not switched on. */
  readonly pointInTime: PreparedPointInTime | undefined;
}

/** Point-in-time recovery, and the container of the server whose WAL is read. */
export interface PreparedPointInTime extends ResolvedPointInTime {
  readonly container: string;
}

/**
 * Resolves arguments, deploy.yml, Kamal's secrets and this machine's SSH settings into what is to be made. It makes
 * nothing, so a program that contradicts itself fails before its first resource.
 * @throws Problem that names the setting as the caller knows it
 */
export function resolveBackup(args: PostgresBackupArgs, log: ResourceLog): ResolvedBackup {
  const name = settingNamesOf(args);
  const schedule = resolveSchedule(name("schedule"), args.schedule);
  checkArgs(args, name);
  checkBucketRetention(args, schedule, name, log);
  const project = readKamalProject(args.kamal, args, name);
  for (const warning of project.config.warnings) log.warn(warning);
  const accessory = accessoryNames(args.kamal, project.config.service);
  refuseMixedAccessories(args.kamal, accessory, name);
  const prefix = args.prefix ?? prefixOf(project, args);
  const folder = args.bucket instanceof AwsBackupBucket ? undefined : prefix;
  describeDestinations(args.kamal, accessory, folder, name, log);
  if (args.beforeDeploy !== undefined) describeUngated(args.kamal, name, log);
  const database = resolveDatabase({ project, kamal: args.kamal, args, name }, log);
  const access = resolveSshAccess({ project, hosts: database.hosts, args: args.ssh, name }, log);
  const { image, registry } = resolveImage({ args, project, accessory, name }, log);
  if (args.replacesContainer !== undefined) {
    checkReplaced(args.replacesContainer, accessory, project, args.driver, name);
  }
  const bucket = resolveBucket({ bucket: args.bucket, prefix, keys: args.keys, name }, log);
  const ours = {
    bucket: bucket.location?.bucket,
    prefix: bucket.location?.prefix ?? prefix,
    schedule: schedule.toString(),
  };
  describeOtherBackups({ args: args.kamal, project, accessory, ours, name }, log);
  const pointInTime = pointInTimeOf({ args, name, schedule, project, database }, prefix, log);
  const copy = args.copy && resolveCopyOf(args, args.copy, { schedule, bucket, name }, log);
  if (args.notices) checkNotices(args.notices, name);
  warnUnencrypted(args.encryption, log);
  checkMemory(args, [args.bucket, ...(args.copy ? [args.copy.bucket] : [])], name, log);
  return {
    args,
    name,
    schedule,
    project,
    accessory,
    secretPrefix: secretPrefix(accessory, project.secretsFile),
    database,
    access,
    image,
    registry,
    bucket,
    bootByKamal: resolveDriver({
      kamal: args.kamal,
      driver: args.driver,
      image,
      needs: { network: database.network, database: containerOf(database, project) },
      name,
    }),
    deployHook: args.beforeDeploy && deployHook(args.kamal, project, accessory, args.beforeDeploy),
    copy,
    pointInTime,
  };
}

function pointInTimeOf(
  {
    args,
    name,
    schedule,
    project,
    database,
  }: Pick<ResolvedBackup, "args" | "name" | "schedule" | "project" | "database">,
  prefix: string,
  log: ResourceLog,
): PreparedPointInTime | undefined {
  if (args.pointInTime === undefined) return undefined;
  const { host, hosts } = database;
  const { config } = project;
  const container = serverContainer({ host, hosts, config, driver: args.driver, name });
  const declared = resolvePointInTime(args.pointInTime, name, schedule);
  checkPointInTimeRetention(
    {
      declared,
      keeping: pointInTimeKeeping(args.bucket),
      prefix,
      backupBytes: args.backupBytes,
      name,
      retentionName: retentionName(args.bucket, name),
    },
    log,
  );
  if (args.copy !== undefined && log.preview) {
    log.warn(
      `${name("pointInTime")}: base backups and WAL go to the first bucket alone; ${name("copy")} holds the dumps.`,
    );
  }
  return { ...declared, container };
}

/** What a bucket's rules do with all that is no dump in a tier; undefined where that is not known, or nothing expires. */
function pointInTimeKeeping(bucket: PostgresBackupArgs["bucket"]): PointInTimeKeeping | undefined {
  const keeping = keepingIn(bucket);
  if (keeping === undefined) return undefined;
  const { days, tiers, pointInTimeDays } = keeping;
  return {
    days: tiers?.monthly ?? days,
    ...(pointInTimeDays !== undefined && { ownDays: pointInTimeDays }),
    isOwners: !("keeping" in bucket),
  };
}

function checkBucketRetention(
  { bucket, backupBytes, usdPerGbMonth }: PostgresBackupArgs,
  rhythm: Schedule,
  name: SettingName,
  log: ResourceLog,
): void {
  const keeping = keepingIn(bucket);
  if (keeping === undefined) return;
  const amounts = {
    ...(backupBytes !== undefined && { backupBytes }),
    ...(usdPerGbMonth !== undefined && { usdPerGbMonth }),
  };
  const names = {
    schedule: name("schedule"),
    retention: retentionName(bucket, name),
    backupBytes: name("backupBytes"),
    usdPerGbMonth: name("usdPerGbMonth"),
  };
  checkRetention({ rhythm, keeping, amounts, names }, log);
}

/** Undefined for a server that is no accessory of the application. */
function containerOf({ host }: Database, { config }: KamalProject): string | undefined {
  const services = Object.values(config.accessories).map(({ service }) => service);
  return services.find((service) => service === host);
}

function prefixOf(project: KamalProject, { kamal }: PostgresBackupArgs): string {
  return [project.config.service, kamal.destination].filter(Boolean).join("/");
}

function resolveCopyOf(
  args: PostgresBackupArgs,
  copy: NonNullable<PostgresBackupArgs["copy"]>,
  { schedule, bucket, name }: Pick<ResolvedBackup, "schedule" | "bucket" | "name">,
  log: ResourceLog,
): ResolvedCopy {
  return resolveCopy(
    {
      args: copy,
      original: args.bucket,
      originalBucket: bucket,
      schedule,
      access: args.keys?.access,
      backupBytes: args.backupBytes,
      keepDays: args.keep?.days,
      name,
    },
    log,
  );
}
