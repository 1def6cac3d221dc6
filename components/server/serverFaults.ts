import { WAL_RECEIVER } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import { gigabytes } from "../../storage/planning/costs.ts";
import type { ServerLook } from "./serverLook.ts";
import { postgresSize, sizeInMib } from "./serverSettings.ts";

const MIB = 1024 * 1024;

/** What the reader of a message calls the arguments. */
export interface ServerNames {
  readonly pointInTime: string;
  readonly serverDisk: string;
}

export interface FaultOptions {
  /** `shop-db on 192.0.2.10` */
  readonly place: string;
  readonly names: ServerNames;
  readonly settings: Readonly<Record<string, string>>;
  /** The server was prepared by this stack before. */
  readonly isPrepared: boolean;
}

/** Why this server's WAL cannot be archived as it is declared, a sentence with a remedy; undefined: it can. */
export function serverFault(look: ServerLook, options: FaultOptions): string | undefined {
  const { place, isPrepared } = options;
  const setting = options.names.pointInTime;
  const server = `${setting}: the server in ${place}`;
  if (look.standby) {
    return `${server} is a standby, whose WAL is that of its primary. Declare the backup beside the primary, or take ${setting} out.`;
  }
  if (look.tablespaces.length > 0) {
    return `${server} has tablespaces of its own (${look.tablespaces.join(", ")}), which a base backup as one stream cannot hold. Move what lies there to pg_default and drop them, or take ${setting} out.`;
  }
  if (isWaitedFor(look.synchronousStandbyNames)) {
    return `${server} has synchronous_standby_names '${look.synchronousStandbyNames}', by which each commit would wait for the backup. Name the standbys there one by one, or take ${setting} out.`;
  }
  if (look.walLevel === "minimal" || look.maxWalSenders < 2 || look.maxReplicationSlots < 1) {
    return `${server} has wal_level ${look.walLevel}, max_wal_senders ${look.maxWalSenders} and max_replication_slots ${look.maxReplicationSlots}: it takes replica or logical, at least 2 and at least 1, and a restart. PostgreSQL's own defaults do.`;
  }
  const [wrong] = look.wrongLines;
  if (wrong !== undefined) {
    return `pg_hba.conf of the server in ${place} cannot be read at line ${wrong.number} (${wrong.error}), so that no change of it takes effect. Correct that line.`;
  }
  if (!isPrepared && look.connections > 0) {
    return `another backup reads the WAL of the server in ${place} already, and one role does for one of them. Take ${setting} out of one of the two.`;
  }
  return isBoundInPlace(look, options) ? undefined : spaceFault(look, options);
}

/**
 * Why the server may not hold as much WAL; undefined: it may. What is there of WAL counts as free, since the bound holds for all of
 * it.
 */
function spaceFault(
  { freeBytes, walBytes }: ServerLook,
  { place, names, settings }: FaultOptions,
): string | undefined {
  const bound = settings["max_slot_wal_keep_size"] ?? "";
  const room = freeBytes + walBytes;
  if ((sizeInMib(bound) ?? 0) * MIB <= room / 2) return undefined;
  const most = Math.floor(room / 2 / MIB);
  return `${names.serverDisk} ${bound} is more than half of what is free on the volume of the server in ${place} (${gigabytes(room)}, the WAL that is there included), so that WAL which waits for the bucket could fill it. Set it to at most ${postgresSize(most)}, or make room.`;
}

/** A disk that has filled up since must not keep a later `pulumi up` from what it has to do. */
function isBoundInPlace({ settings }: ServerLook, options: FaultOptions): boolean {
  const { max_slot_wal_keep_size: bound } = options.settings;
  return options.isPrepared && settings["max_slot_wal_keep_size"]?.value === bound;
}

/** Names are compared without case, `*` is every one. */
function isWaitedFor(synchronousStandbyNames: string): boolean {
  const names = synchronousStandbyNames.toLowerCase().match(/\*|"[^"]*"|[\w-]+/g) ?? [];
  return names.some((name) => name === "*" || name.replaceAll('"', "") === WAL_RECEIVER);
}
