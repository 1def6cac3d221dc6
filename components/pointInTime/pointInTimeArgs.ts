import type { Schedule } from "../../common/schedule/schedule.ts";

/** How any second of the last days can be recovered. */
export interface PointInTimeArgs {
  /**
   * How far back any second is to be reachable, whole days. Base backups and WAL live longer: the oldest second needs the base
   * before it, and one base may fail. The preview says how long, and the bucket must keep backups as long.
   * @example "14d"
   */
  readonly keep: string;
  /**
   * When a whole base backup of the server is taken. A recovery replays the WAL since the base before its moment, so a server that
   * writes much wants them more often.
   * @default Sundays at 02:00 UTC, or at the first minute after it at which no backup is due
   * @example Schedule.daily("02:00")
   */
  readonly base?: Schedule | string;
  /**
   * Longest time for which a write may lie on the database's host alone, 1s to 1h. A shorter one makes more objects.
   * @default "10s"
   */
  readonly rpo?: string;
  /**
   * WAL that the server may hold on its disk while the bucket or the agent is away: `max_slot_wal_keep_size`, 256MB or more and at
   * most half of what is free. Beyond it the server goes on, lets the WAL go, and what was written meanwhile cannot be recovered to
   * the second.
   * @default "4GB"
   */
  readonly serverDisk?: string;
}
