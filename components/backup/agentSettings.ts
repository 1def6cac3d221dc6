import * as pulumi from "@pulumi/pulumi";
import { DEFAULT_KEEP_AT_LEAST } from "../../common/contracts/agentEnvironment/backup.ts";
import {
  type AgentSettings,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";
import { checkSecret } from "../../kamal/secretsFile.ts";
import type { BucketAccess } from "../bucket/bucketAccess.ts";
import { databaseTlsOf } from "./certificateAuthority.ts";
import type { CreatedCopy } from "./copy.ts";
import { PASSPHRASE } from "./encryption.ts";
import type { ResolvedBackup } from "./resolveBackup.ts";

/** What the container's settings are made from. */
export interface SettingsOptions {
  readonly resolved: ResolvedBackup;
  readonly access: BucketAccess;
  readonly copy: CreatedCopy | undefined;
  readonly notices: pulumi.Output<AgentSettings["notifications"]>;
  readonly encryption: pulumi.Output<AgentSettings["encryption"]>;
  /** Password of the role that reads WAL; undefined without point-in-time recovery. Secret. */
  readonly walPassword: pulumi.Output<string> | undefined;
}

/** The one value from which environment, secrets, block, `docker run` line and digest are made. */
export function settingsOf(options: SettingsOptions): pulumi.Output<AgentSettings> {
  const { resolved, access, copy } = options;
  const { args, schedule, database, bucket, pointInTime } = resolved;
  return pulumi
    .all([
      database.password,
      access.location,
      access.accessKeyId,
      access.secretAccessKey,
      options.notices,
      options.encryption,
      copy?.settings,
      options.walPassword,
    ])
    .apply(
      ([
        password,
        location,
        accessKeyId,
        secretAccessKey,
        notifications,
        encryption,
        copySettings,
        walPassword,
      ]): AgentSettings => ({
        schedule: schedule.toString(),
        jitterSeconds: args.jitterSeconds ?? 0,
        postgres: {
          host: database.host,
          port: database.port,
          user: database.user,
          password,
          // With all, the one to ask for the list of them.
          database: database.names === "all" ? "postgres" : database.names[0],
          ...databaseTlsOf(database.tls),
          dumpOptions: (args.dumpOptions ?? []).join(" "),
        },
        databases: database.names === "all" ? "all" : [...database.names],
        excludedDatabases: [...database.excluded],
        store: {
          ...location,
          accessKeyId,
          secretAccessKey,
          allowInsecure: bucket.place.allowInsecure,
          ...(bucket.checksums && { checksums: bucket.checksums }),
        },
        ...(encryption && { encryption }),
        compressionLevel: args.compressionLevel ?? 1,
        globals: args.globals ?? true,
        verify: args.verify ?? false,
        tiers: bucket.tiered,
        ...(args.keep && {
          keep: { days: args.keep.days, atLeast: args.keep.atLeast ?? DEFAULT_KEEP_AT_LEAST },
        }),
        maxShrinkPercent: args.maxShrinkPercent ?? 50,
        ...(args.transientTables?.length && { transientTables: args.transientTables }),
        ...(args.maxRunHours !== undefined && { maxRunHours: args.maxRunHours }),
        notifications,
        ...(copySettings && { copy: copySettings }),
        ...(pointInTime &&
          walPassword !== undefined && {
            pointInTime: {
              keepDays: pointInTime.keepDays,
              baseSchedule: pointInTime.base.toString(),
              rpoSeconds: pointInTime.rpoSeconds,
              password: walPassword,
            },
          }),
      }),
    );
}

/** Everything below waits for this, so that nothing is declared from a secret that Kamal would alter. */
export function checkedSettings(settings: AgentSettings, resolved: ResolvedBackup): AgentSettings {
  const { secret } = toEnvironment(settings);
  const given = secretSettings(resolved);
  for (const [variable, value] of Object.entries(secret)) {
    const setting = given[variable];
    checkSecret(variable, value, setting && `${setting} (${variable})`);
  }
  return settings;
}

/** What whoever gave a secret has called it, by the container's variable. */
function secretSettings({
  name,
  database,
  bucket,
  copy,
}: ResolvedBackup): Readonly<Record<string, string | undefined>> {
  const { passwordFrom } = database;
  return {
    POSTGRES_PASSWORD:
      passwordFrom === undefined ? name("postgres.password") : `Kamal's secret ${passwordFrom}`,
    S3_ACCESS_KEY_ID: bucket.names.accessKeyId,
    S3_SECRET_ACCESS_KEY: bucket.names.secretAccessKey,
    COPY_S3_ACCESS_KEY_ID: copy?.bucket.names.accessKeyId,
    COPY_S3_SECRET_ACCESS_KEY: copy?.bucket.names.secretAccessKey,
    PASSPHRASE: name(PASSPHRASE),
    PING_URL: name("notices.pingUrl"),
    WEBHOOK_URL: name("notices.webhookUrl"),
  };
}
