import * as z from "zod";
import { Problem } from "../../problem.ts";
import { type BackupSettings, backupClearEnv, backupVariables, parseBackup } from "./backup.ts";
import { copyClearEnv, copySecretEnv, type DeclaredCopy, parseCopy } from "./copy.ts";
import {
  type EncryptionSettings,
  encryptionClearEnv,
  encryptionSecretEnv,
  encryptionVariables,
  parseEncryption,
} from "./encryption.ts";
import {
  type NotificationSettings,
  notificationClearEnv,
  notificationSecretEnv,
  notificationVariables,
  parseNotifications,
} from "./notifications.ts";
import {
  type DeclaredPointInTime,
  parsePointInTime,
  pointInTimeClearEnv,
  pointInTimeSecretEnv,
  pointInTimeVariables,
} from "./pointInTime.ts";
import {
  type PostgresSettings,
  parsePostgres,
  postgresClearEnv,
  postgresSecretEnv,
  postgresVariables,
} from "./postgres.ts";
import {
  parseSigning,
  type SigningSettings,
  signingClearEnv,
  signingSecretEnv,
  signingVariables,
} from "./signing.ts";
import {
  parseStore,
  type StoreSettings,
  storeClearEnv,
  storeSecretEnv,
  storeVariables,
} from "./store.ts";
import { nonDefault, REMEDY, wholeNumber } from "./variables.ts";

/** When backups run. */
interface ScheduleSettings {
  /** Cron expression, `@daily`, `@every 6h`; absent: one backup, then exit, as the old image did. `SCHEDULE` */
  readonly schedule?: string;
  /** Longest random delay of a scheduled run, seconds, so that many hosts do not start at once. `SCHEDULE_JITTER` @default 0 */
  readonly jitterSeconds: number;
}

/**
 * What the container needs to know, as one typed value. The component turns it into the accessory's environment with
 * `toEnvironment`, the agent reads it back with `fromEnvironment`; names and defaults are those of
 * `eeshugerman/postgres-backup-s3`, so that a reader of the old image can read this one. Each part stands in a file of
 * its own with its variables.
 */
export type AgentSettings = ScheduleSettings &
  PostgresSettings & {
    readonly store: StoreSettings;
    readonly notifications: NotificationSettings;
  } & DeclaredCopy &
  EncryptionSettings &
  SigningSettings &
  BackupSettings &
  DeclaredPointInTime;

/** The accessory's `env:` in Kamal's own split. Values that equal a default are left out. */
export interface AgentEnvironment {
  readonly clear: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
}

const environmentSchema = z.object({
  SCHEDULE: z.string().optional(),
  SCHEDULE_JITTER: wholeNumber("SCHEDULE_JITTER", 0, 86_400).default("0"),
  ...postgresVariables,
  ...storeVariables,
  ...encryptionVariables,
  ...signingVariables,
  ...backupVariables,
  ...pointInTimeVariables,
  ...notificationVariables,
});

/** Renders the settings as the accessory's environment. */
export function toEnvironment(settings: AgentSettings): AgentEnvironment {
  return {
    clear: {
      ...nonDefault([
        ["SCHEDULE", settings.schedule],
        ["SCHEDULE_JITTER", settings.jitterSeconds, "0"],
      ]),
      ...postgresClearEnv(settings),
      ...storeClearEnv(settings.store),
      ...copyClearEnv(settings.copy, settings.store),
      ...encryptionClearEnv(settings),
      ...signingClearEnv(settings),
      ...backupClearEnv(settings),
      ...pointInTimeClearEnv(settings),
      ...notificationClearEnv(settings.notifications),
    },
    secret: {
      ...postgresSecretEnv(settings),
      ...storeSecretEnv(settings.store),
      ...copySecretEnv(settings.copy),
      ...encryptionSecretEnv(settings),
      ...signingSecretEnv(settings),
      ...pointInTimeSecretEnv(settings),
      ...notificationSecretEnv(settings.notifications),
    },
  };
}

/**
 * Reads the settings inside the container. An empty variable counts as unset, as in the old image.
 * @throws Problem that names the variable; not for those of the copy
 */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): AgentSettings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Problem(`${issue?.message}. ${REMEDY}`);
  }
  const e = parsed.data;
  return {
    ...(e.SCHEDULE !== undefined && { schedule: e.SCHEDULE }),
    jitterSeconds: Number(e.SCHEDULE_JITTER),
    ...parsePostgres(e),
    store: parseStore(e),
    ...parseEncryption(e),
    ...parseSigning(e),
    ...parseCopy(present, e.S3_PREFIX),
    ...parseBackup(e),
    ...parsePointInTime(e),
    notifications: parseNotifications(e),
  };
}
