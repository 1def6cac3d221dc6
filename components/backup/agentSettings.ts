import * as pulumi from "@pulumi/pulumi";
import {
  type AgentSettings,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";
import type { Schedule } from "../../common/schedule/schedule.ts";
import { checkSecret } from "../../kamal/secrets.ts";
import type { SettledBucket } from "../bucket/resolveBucket.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import type { Database } from "./resolveDatabase.ts";

/** The one value from which environment, secrets, block, `docker run` line and digest are made. */
export function settingsOf(
  schedule: Schedule,
  database: Database,
  bucket: SettledBucket,
  args: PostgresBackupArgs,
  notices: pulumi.Output<AgentSettings["notifications"]>,
  encryption: pulumi.Output<AgentSettings["encryption"]>,
): pulumi.Output<AgentSettings> {
  return pulumi
    .all([
      database.password,
      bucket.location,
      bucket.accessKeyId,
      bucket.secretAccessKey,
      notices,
      encryption,
    ])
    .apply(
      ([password, location, accessKeyId, secretAccessKey, told, sealed]): AgentSettings => ({
        schedule: schedule.toString(),
        jitterSeconds: args.jitterSeconds ?? 0,
        postgres: {
          host: database.host,
          port: database.port,
          user: database.user,
          password,
          // With all, the one to ask for the list of them.
          database: database.names === "all" ? "postgres" : database.names[0],
          dumpOptions: (args.dumpOptions ?? []).join(" "),
        },
        databases: database.names === "all" ? "all" : [...database.names],
        excludedDatabases: [...database.excluded],
        store: {
          ...location,
          accessKeyId,
          secretAccessKey,
          allowInsecure: bucket.allowInsecure,
          ...(bucket.checksums && { checksums: bucket.checksums }),
        },
        ...(sealed && { encryption: sealed }),
        compressionLevel: args.compressionLevel ?? 1,
        globals: args.globals ?? true,
        verify: args.verify ?? false,
        tiers: bucket.tiered ?? false,
        ...(args.keep && { keep: { days: args.keep.days, atLeast: args.keep.atLeast ?? 7 } }),
        maxShrinkPercent: args.maxShrinkPercent ?? 50,
        notifications: told,
      }),
    );
}

/** Everything below waits for this, so that nothing is declared from a secret that Kamal would alter. */
export function checkedSettings(settings: AgentSettings): AgentSettings {
  const { secret } = toEnvironment(settings);
  for (const [name, value] of Object.entries(secret)) checkSecret(name, value);
  return settings;
}
