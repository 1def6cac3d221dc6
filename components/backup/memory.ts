import { Problem } from "../../common/problem.ts";
import { sizeInBytes } from "../../kamal/runningContainer.ts";
import { aws, type Provider } from "../../storage/address/providers.ts";
import { gigabytes } from "../../storage/planning/costs.ts";
import { leastQueue, partBytesFor } from "../../storage/upload/partSize.ts";
import { AwsBackupBucket } from "../bucket/awsBackupBucket.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import { providerOf } from "../bucket/retentionCheck.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";

export interface MemoryArgs {
  /**
   * Memory limit of the container, as `docker run` takes it. The default suffices for a database of some 600 GB, of 60 GB at
   * Scaleway: as a service takes a number of parts, those of a larger one are larger, and two of each bucket's are held at a
   * time. With `backupBytes` the preview says what it takes. Nor does it suffice for one huge row: pg_dump needs about twice
   * the row's text form on top, where a `bytea` takes two characters a byte.
   * @default "256m", with `pointInTime` "384m"
   * @example "640m" // rows of up to 200 MiB of text
   */
  readonly memory?: string;
  /**
   * Size of one stored backup, bytes: about a fifth of the database. For the estimate of space, cost and memory at preview.
   * @default none: the preview estimates the number of backups alone
   */
  readonly backupBytes?: number;
}

/** What decides how much the container takes. */
export type MemoryNeeds = MemoryArgs & { readonly pointInTime?: unknown };

/** Limit of the container. */
export function memoryOf({ memory, pointInTime }: MemoryNeeds): string {
  return memory ?? (pointInTime === undefined ? "256m" : "384m");
}

/**
 * `/dev/shm` with point-in-time recovery: WAL waits there for its upload, three segments of 16 MiB at most, beside the one that is
 * open and what pg_receivewal writes ahead. Docker's own 64 MiB would fill up.
 */
export const POINT_IN_TIME_SHM = "96m";

const MiB = 1024 * 1024;
/** What a backup takes besides large parts: 64 MiB, the small ones included, when it was measured, and a margin. */
const USUAL_MIB = 90;
/** What reading WAL takes besides, as it was measured: a second Node with 98 MiB, pg_receivewal with 10, and what waits in /dev/shm. */
const POINT_IN_TIME_MIB = 160;
/** A stored backup is about a fifth of its database, by whose size the agent chooses the parts. */
const DATABASE_PER_BACKUP = 5;

/**
 * Bytes of a size as `docker run` takes it.
 * @throws Problem when it is none
 */
export function memoryBytes(memory: string, name: SettingName = asArgument): number {
  const bytes = sizeInBytes(memory);
  if (bytes !== undefined) return bytes;
  throw new Problem(
    `${name("memory")} "${memory}" is no size that Docker takes. Give a number with its unit, for instance "256m" or "1g".`,
  );
}

/** Warns at preview when the parts of a database as large as `backupBytes` implies do not fit into the memory. */
export function checkMemory(
  args: MemoryNeeds,
  buckets: readonly BackupBucket[],
  name: SettingName,
  log: ResourceLog,
): void {
  const { backupBytes = 0 } = args;
  const memory = memoryOf(args);
  const limit = memoryBytes(memory, name);
  if (!log.preview || limit === 0) return;
  const usual = USUAL_MIB + (args.pointInTime === undefined ? 0 : POINT_IN_TIME_MIB);
  const setting = name("memory");
  if (args.pointInTime !== undefined) {
    log.info(
      `${name("pointInTime")}: the container gets ${setting} "${memory}" and a shm-size of ${POINT_IN_TIME_SHM}, and holds about 100 MiB at rest.`,
    );
    if (limit < usual * MiB) {
      log.warn(
        `${setting} "${memory}" does not suffice beside ${name("pointInTime")}: reading WAL takes ${POINT_IN_TIME_MIB} MiB besides the usual ${USUAL_MIB}. Give at least ${setting}: "384m".`,
      );
    }
  }
  if (!(backupBytes > 0)) return;
  const databaseBytes = DATABASE_PER_BACKUP * backupBytes;
  const parts = buckets.map(serviceOf).map((service) => ({
    service: service.name,
    mib: partBytesFor(service, databaseBytes) / MiB,
  }));
  const needed = parts.reduce((sum, { mib }) => sum + leastQueue * mib, usual);
  if (needed * MiB <= limit) return;
  const held = parts.map(({ service, mib }) => `${mib} MiB for ${service}`).join(" and two of ");
  log.warn(
    `${setting} "${memory}" does not suffice for a database of ${gigabytes(databaseBytes)}, which is ${DATABASE_PER_BACKUP} times ${name("backupBytes")}: the container holds two parts of ${held} besides its usual ${usual} MiB, ${needed} MiB in all. Give at least ${setting}: "${Math.ceil(needed / 64) * 64}m".`,
  );
}

function serviceOf(bucket: BackupBucket): Provider {
  return bucket instanceof AwsBackupBucket ? aws : providerOf(bucket.endpoint);
}
