import * as pulumi from "@pulumi/pulumi";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { rebootCommand } from "../accessory/driver.ts";
import { hopOf } from "../accessory/sshConnection.ts";
import type { BucketAccess } from "../bucket/bucketAccess.ts";
import type { ResolvedPointInTime } from "../pointInTime/resolvePointInTime.ts";
import { kamalSecretName } from "./accessory.ts";
import type { CreatedCopy } from "./copy.ts";
import { Encryption } from "./encryption.ts";
import type { ResolvedBackup } from "./resolveBackup.ts";
import type { Database } from "./resolveDatabase.ts";
import { drillOutputs, rpoHours } from "./rhythm.ts";

/** What the outputs are made from, once everything is declared. */
export interface OutputsOptions {
  /** Name of the backup. */
  readonly name: string;
  readonly resolved: ResolvedBackup;
  readonly bucket: BucketAccess;
  readonly copy: CreatedCopy | undefined;
  readonly image: pulumi.Output<string>;
}

/** What the command line reads. */
export function outputsOf(options: OutputsOptions): pulumi.Output<BackupOutputs> {
  const { name, resolved, bucket, copy } = options;
  const { args, accessory, access } = resolved;
  const { retentionDays, tierDays } = resolved.bucket;
  return pulumi
    .all([options.image, bucket.location, pulumi.unsecret(bucket.accessKeyId), copy?.outputs])
    .apply(
      ([image, location, writerKeyId, copied]): BackupOutputs => ({
        kind: "kamal-postgres-backup",
        version: 1,
        name,
        ...databaseOutputs(resolved.database),
        accessory: accessory.key,
        ...(resolved.bootByKamal?.driver === "render" && {
          reboot: rebootCommand(resolved.bootByKamal, accessory),
        }),
        container: accessory.container,
        hosts: access.hosts.map(hopOf),
        ...(access.proxy && { proxy: hopOf(access.proxy) }),
        identityFiles: [...access.identityFiles],
        location,
        writerKeyId,
        ...(Encryption.encrypts(args.encryption) && { encrypts: true }),
        image,
        schedule: resolved.schedule.toString(),
        ...(retentionDays !== undefined && { retentionDays: args.keep?.days ?? retentionDays }),
        ...(tierDays && { tierDays }),
        ...(args.usdPerGbMonth !== undefined && { usdPerGbMonth: args.usdPerGbMonth }),
        rpoHours: rpoHours(resolved.schedule, args.jitterSeconds),
        ...(copied && { copy: copied }),
        ...(args.drill && { drill: drillOutputs(args.drill) }),
        ...(args.pull && { pull: { mask: args.pull.mask } }),
        ...(resolved.pointInTime && { pointInTime: pointInTimeOutputs(resolved.pointInTime) }),
      }),
    );
}

function pointInTimeOutputs({
  keepDays,
  rpoSeconds,
  base,
}: ResolvedPointInTime): NonNullable<BackupOutputs["pointInTime"]> {
  return { keepDays, rpoSeconds, baseSchedule: base.toString() };
}

function databaseOutputs({ names }: Database): Pick<BackupOutputs, "database" | "databases"> {
  return names === "all"
    ? { database: "", databases: "all" }
    : { database: names[0], databases: [...names] };
}

/** The running stack as `pulumi --stack` takes it in any folder. */
export function stackName(): string {
  return [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
}

/**
 * The secrets by the names of the outputs under which Kamal looks them up; none where they are written down.
 * @param secrets value by Kamal's secret name
 */
export function secretOutputsOf(
  resolved: ResolvedBackup,
  secrets: pulumi.Output<Record<string, string>>,
): Record<string, pulumi.Output<string>> {
  if (resolved.args.kamal.secrets !== "outputs") return {};
  const names = secretVariables(resolved).map((variable) =>
    kamalSecretName(resolved.secretPrefix, variable, resolved.database),
  );
  return Object.fromEntries(
    names.map((name) => [name, pulumi.secret(secrets.apply((known) => known[name] ?? ""))]),
  );
}

/** The container's secrets that Kamal does not have by itself. Outputs need names before their values are known. */
function secretVariables({ args, database, copy }: ResolvedBackup): string[] {
  const { notices = {} } = args;
  const variables: Record<string, boolean> = {
    POSTGRES_PASSWORD: database.passwordFrom === undefined,
    S3_ACCESS_KEY_ID: true,
    S3_SECRET_ACCESS_KEY: true,
    COPY_S3_ACCESS_KEY_ID: copy !== undefined,
    COPY_S3_SECRET_ACCESS_KEY: copy !== undefined,
    PASSPHRASE: Encryption.hasPassphrase(args.encryption),
    SIGNING_KEYS: true,
    POINT_IN_TIME_PASSWORD: args.pointInTime !== undefined,
    PING_URL: notices.pingUrl !== undefined,
    WEBHOOK_URL: notices.webhookUrl !== undefined,
  };
  return Object.keys(variables).filter((variable) => variables[variable]);
}
