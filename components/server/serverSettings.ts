import { WAL_ROLE } from "../../common/contracts/agentEnvironment/pointInTime.ts";

const MIB: Readonly<Record<string, number>> = { MB: 1, GB: 1024, TB: 1024 * 1024 };
/** From this major version on the server can list the blocks that have changed since a base, which incremental ones need. */
const SUMMARIZES = 17;

/** The settings that the server gets, as it shows them itself. */
export function declaredSettings(
  serverDiskMib: number,
  major: number,
): Readonly<Record<string, string>> {
  return {
    max_slot_wal_keep_size: postgresSize(serverDiskMib),
    ...(major >= SUMMARIZES && { summarize_wal: "on" }),
  };
}

/** A size as PostgreSQL writes it itself, in the largest unit that leaves a whole number. */
export function postgresSize(mib: number): string {
  for (const unit of ["TB", "GB"]) {
    const size = mib / (MIB[unit] as number);
    if (Number.isInteger(size)) return `${size}${unit}`;
  }
  return `${mib}MB`;
}

/**
 * MiB of a size with one of the units MB, GB and TB, which are powers of 1024 in PostgreSQL.
 * @returns undefined for a text that is none
 */
export function sizeInMib(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,7}) ?(MB|GB|TB)$/.exec(text.trim()) ?? [];
  return amount === undefined ? undefined : Number(amount) * (MIB[unit] as number);
}

/** What the role is. */
export const ROLE_FIT = "replicates and monitors";

/**
 * The line of pg_hba.conf, in the form in which the server shows it: the role reads WAL and takes base backups (`replication`),
 * and moves its slot in the database postgres, from the networks of the server's own container alone.
 */
export const HBA_LINE = `host postgres,replication ${WAL_ROLE} samenet scram-sha-256`;

/** Comment by which that line is known again. */
export const HBA_MARK = "# kamal-postgres-backup";

/** What the slot is while the agent archives. */
export const SLOT_HELD = "held";
