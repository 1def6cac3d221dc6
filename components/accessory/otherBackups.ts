import { Problem } from "../../common/problem.ts";
import type { KamalAccessoryConfig } from "../../kamal/configuration/accessoryConfig.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { isWrittenByHand } from "./destinations.ts";
import type { Driver } from "./driver.ts";
import type { AccessoryNames, KamalArgs, KamalProject } from "./kamalProject.ts";

/** Images that back up PostgreSQL, by the last part of their name: postgres-backup-s3 and its forks, and other tools. */
const BACKUP_IMAGE =
  /(?:postgres\w*|pg|psql|db)[-_.](?:\w+[-_.])*(?:backups?|dumps?)\b|backups?[-_.](?:\w+[-_.])*(?:postgres\w*|pg|db)\b|kamal-backups?|databasus|pgbackweb|pg_?back\b|pgbackrest|wal-g|barman/;

/** What is compared with ours. */
export interface OurBackup {
  /** Undefined: its name is made by the provider. */
  readonly bucket: string | undefined;
  readonly prefix: string;
  readonly schedule: string;
}

export interface OtherBackupsOptions {
  readonly args: KamalArgs;
  readonly project: KamalProject;
  readonly accessory: AccessoryNames;
  readonly ours: OurBackup;
  readonly name: SettingName;
}

/**
 * Names at preview each accessory that backs up too and was written by hand: both go on side by side, perhaps into one folder.
 */
export function describeOtherBackups(
  { args, project, accessory: names, ours, name }: OtherBackupsOptions,
  log: ResourceLog,
): void {
  if (!log.preview) return;
  for (const accessory of Object.values(project.config.accessories)) {
    if (accessory.name === names.key || !isBackup(accessory)) continue;
    if (isWrittenByHand(args, accessory.name)) log.warn(sentenceOn(accessory, names, ours, name));
  }
}

/**
 * Refuses to replace a container that is somebody's else, such as the database's.
 * @throws Problem that names the setting
 */
export function checkReplaced(
  container: string,
  { key }: AccessoryNames,
  { config }: KamalProject,
  driver: Driver | undefined,
  name: SettingName,
): void {
  const setting = `${name("replacesContainer")} "${container}"`;
  if (!/^[A-Za-z0-9][\w.-]*$/.test(container)) {
    throw new Problem(`${setting} is no name of a container. Give it as docker ps shows it.`);
  }
  if (driver !== undefined && driver !== "ssh") {
    throw new Problem(
      `${setting} and ${name("driver")} "${driver}" contradict each other: pulumi up replaces a container only where it boots the new one itself. Set ${name("driver")} to "ssh" for this once, or remove that container by hand: kamal accessory remove.`,
    );
  }
  const accessory = Object.values(config.accessories).find(
    (each) => each.name !== key && known(() => each.service) === container,
  );
  if (accessory !== undefined) {
    throw new Problem(
      `${setting} is the container of accessories.${accessory.name} of ${config.path}, which would boot it again. Take that accessory out first, if it is the old backup: kamal-postgres-backup adopt --write does.`,
    );
  }
}

/** By its image, else by what its variables say of it. */
function isBackup(accessory: KamalAccessoryConfig): boolean {
  const last =
    known(() => accessory.image)
      ?.split("/")
      .at(-1) ?? "";
  if (BACKUP_IMAGE.test(last.replace(/[:@].*$/, ""))) return true;
  const names = variables(accessory);
  const has = (pattern: RegExp) => names.some((each) => pattern.test(each));
  return has(/^S3_BUCKET$/) && has(/^(?:POSTGRES|PG)/) && has(/SCHEDULE|BACKUP/);
}

function sentenceOn(
  accessory: KamalAccessoryConfig,
  { key }: AccessoryNames,
  ours: OurBackup,
  name: SettingName,
): string {
  const bucket = variable(accessory, "S3_BUCKET");
  const prefix = variable(accessory, "S3_PREFIX");
  const schedule = variable(accessory, "SCHEDULE");
  const details = [
    `image ${known(() => accessory.image) ?? "not known"}`,
    bucket === undefined ? "bucket not in clear" : `bucket ${bucket}`,
    prefix === undefined ? "no prefix" : `prefix ${prefix}`,
    schedule === undefined ? "no schedule" : `schedule ${schedule}`,
  ].join(", ");
  const both = [
    bucket !== undefined && bucket === ours.bucket && samePath(prefix, ours.prefix)
      ? ` Both write into one folder: give this backup another one with ${name("prefix")}.`
      : "",
    schedule === ours.schedule ? " Both run at the same time." : "",
  ].join("");
  return `the accessory ${accessory.name} backs up as well (${details}); ${key} goes to ${ours.bucket === undefined ? "a bucket of its own" : `bucket ${ours.bucket}`}, prefix ${ours.prefix}, schedule ${ours.schedule}.${both} To let ${key} take over, ${bucket === undefined ? "" : 'use "npx kamal-postgres-backup adopt", or '}wait for its first good backup, then run "kamal accessory remove ${accessory.name}" and take ${accessory.name} out of the file. To keep both, leave it as it is.`;
}

function variables(accessory: KamalAccessoryConfig): string[] {
  const read = () => {
    const { clear, secret } = accessory.env;
    return [...Object.keys(clear), ...secret.map((each) => each.name)];
  };
  return known(read) ?? [];
}

function variable(accessory: KamalAccessoryConfig, wanted: string): string | undefined {
  return known(() => accessory.env.clear[wanted]);
}

function samePath(prefix = "", ours = ""): boolean {
  const trimmed = (path: string) => path.replace(/^\/+|\/+$/g, "");
  return trimmed(prefix) === trimmed(ours);
}

/** A value that only Ruby knows is no reason to fail here. */
function known<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
