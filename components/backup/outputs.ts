import * as pulumi from "@pulumi/pulumi";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { BucketAccess } from "../bucket/bucketAccess.ts";
import type { CreatedCopy } from "./copy.ts";
import type { ResolvedBackup } from "./resolveBackup.ts";
import type { Database } from "./resolveDatabase.ts";
import { rpoHours } from "./rhythm.ts";

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
        container: accessory.container,
        hosts: [...access.hosts],
        ...(access.proxy && { proxy: access.proxy }),
        identityFiles: [...access.identityFiles],
        location,
        writerKeyId,
        ...(args.encryption?.encrypts && { encrypts: true }),
        image,
        schedule: resolved.schedule.toString(),
        ...(retentionDays !== undefined && { retentionDays: args.keep?.days ?? retentionDays }),
        ...(tierDays && { tierDays }),
        rpoHours: rpoHours(resolved.schedule, args.jitterSeconds),
        ...(copied && { copy: copied }),
      }),
    );
}

function databaseOutputs({ names }: Database): Pick<BackupOutputs, "database" | "databases"> {
  return names === "all"
    ? { database: "", databases: "all" }
    : { database: names[0], databases: [...names] };
}
