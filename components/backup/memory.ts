import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { aws, type Provider } from "../../storage/address/providers.ts";
import { gigabytes } from "../../storage/planning/costs.ts";
import { leastQueue, partBytesFor } from "../../storage/upload/partSize.ts";
import { AwsBackupBucket } from "../bucket/awsBackupBucket.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import { providerOf } from "../bucket/retentionCheck.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";

/** Limit of the container where none is given. */
export const DEFAULT_MEMORY = "256m";

const MiB = 1024 * 1024;
/** What a backup takes besides large parts: 64 MiB, the small ones included, when it was measured, and a margin. */
const USUAL_MIB = 90;
/** A stored backup is about a fifth of its database, by whose size the agent chooses the parts. */
const DATABASE_PER_BACKUP = 5;
const UNITS = "bkmgt";

/**
 * Bytes of a size as `docker run` takes it.
 * @throws Problem when it is none
 */
export function memoryBytes(memory: string): number {
  const [, number, unit = "b"] = /^(\d+(?:\.\d+)?) ?(?:([kmgt])i?)?b?$/i.exec(memory) ?? [];
  if (number !== undefined) return Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase());
  throw new Problem(
    `memory "${memory}" is no size that Docker takes. Give a number with its unit, for instance "256m" or "1g".`,
  );
}

/** Says at preview when the parts of a database as large as `backupBytes` tells do not fit into the memory. */
export function tellMemory(
  resource: pulumi.Resource,
  { backupBytes = 0, memory = DEFAULT_MEMORY, bucket, copy }: PostgresBackupArgs,
): void {
  const limit = memoryBytes(memory);
  if (!pulumi.runtime.isDryRun() || limit === 0 || !(backupBytes > 0)) return;
  const databaseBytes = DATABASE_PER_BACKUP * backupBytes;
  const parts = [bucket, ...(copy ? [copy.bucket] : [])].map(serviceOf).map((service) => ({
    service: service.name,
    mib: partBytesFor(service, databaseBytes) / MiB,
  }));
  const needed = parts.reduce((sum, { mib }) => sum + leastQueue * mib, USUAL_MIB);
  if (needed * MiB <= limit) return;
  const held = parts.map(({ service, mib }) => `${mib} MiB for ${service}`).join(" and two of ");
  pulumi.log.warn(
    `memory "${memory}" does not suffice for a database of ${gigabytes(databaseBytes)}, which is ${DATABASE_PER_BACKUP} times backupBytes: the container holds two parts of ${held} besides its usual ${USUAL_MIB} MiB, ${needed} MiB in all. Give at least memory: "${Math.ceil(needed / 64) * 64}m".`,
    resource,
  );
}

function serviceOf(bucket: BackupBucket): Provider {
  return bucket instanceof AwsBackupBucket ? aws : providerOf(bucket.endpoint);
}
