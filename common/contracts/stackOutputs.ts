import * as z from "zod";

/** A server on the way to the container. */
export interface SshHop {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Public key line of the server, `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
  /** Of a bastion: another one in front of it. */
  readonly proxy?: SshHop | undefined;
}

const sshHopSchema: z.ZodType<SshHop> = z.object({
  host: z.string(),
  port: z.int(),
  user: z.string(),
  hostKey: z.string(),
  get proxy() {
    return sshHopSchema.optional();
  },
});

const locationSchema = z.object({
  /** Service address; absent on AWS. */
  endpoint: z.string().optional(),
  region: z.string(),
  bucket: z.string(),
  prefix: z.string(),
});

const tierDaysSchema = z.object({ daily: z.int(), weekly: z.int(), monthly: z.int() });

/** The second bucket; each field means what its namesake of the backup means. */
const copySchema = z.object({
  location: locationSchema,
  writerKeyId: z.string(),
  retentionDays: z.int().optional(),
  tierDays: tierDaysSchema.optional(),
  rpoHours: z.number(),
});

/** What is declared of drills; each absent: not declared. */
const drillSchema = z.object({
  /** Longest time that a restore may take. Milliseconds. */
  rtoMs: z.number().positive().optional(),
  /** When the newest drill that passed is older than this, it is drift. Milliseconds. */
  everyMs: z.number().positive().optional(),
  /** File with SQL checks, relative to the folder of Pulumi.yaml. */
  checks: z.string().optional(),
});

/** What is declared of point-in-time recovery. */
const pointInTimeSchema = z.object({
  /** Days back of which any second is to be reachable. */
  keepDays: z.int().positive(),
  /** Longest time for which a write may lie on the database's host alone. Seconds. */
  rpoSeconds: z.int().positive(),
  /** When a base backup is taken: a cron expression as the container got it. */
  baseSchedule: z.string(),
});

/**
 * What a stack publishes about one backup: the contract between `pulumi up` and the command line, found in
 * `pulumi stack output --json` by its `kind`, under whatever name the program exported it. No secret is in it.
 */
export const backupOutputsSchema = z.object({
  kind: z.literal("kamal-postgres-backup"),
  version: z.literal(1),
  /** Name of the component in the program, e.g. `shop`. */
  name: z.string(),
  /** Exact name of the database; the first of several; empty with every database of the server. */
  database: z.string(),
  /**
   * Exact names of those that are backed up, or every database of the server, whose names the container knows; absent from
   * a stack of the first version, which has one.
   */
  databases: z.union([z.array(z.string()), z.literal("all")]).optional(),
  /** Key under `accessories:` in deploy.yml, e.g. `db_backup`. */
  accessory: z.string(),
  /** What is typed in the application's folder to boot the declared container; absent: `pulumi up` boots it. */
  reboot: z.string().optional(),
  /** Name of the container on each host, e.g. `shop-db_backup`. */
  container: z.string(),
  /** Hosts that run the container. */
  hosts: z.array(sshHopSchema).min(1),
  /** Bastion in front of the hosts, the one that is next to them. */
  proxy: sshHopSchema.optional(),
  /** Paths of private keys (`ssh.keys` of deploy.yml), where `~` is the home of whoever connects; empty: the agent and ssh's own configuration. */
  identityFiles: z.array(z.string()),
  location: locationSchema,
  writerKeyId: z.string(),
  /** Backups are encrypted, so that one in clear is not one of these. Absent: they are not, or an older version wrote this. */
  encrypts: z.boolean().optional(),
  /** Image by digest. */
  image: z.string(),
  /** Cron expression as the container got it. */
  schedule: z.string(),
  /** Days until a backup expires; absent where the bucket's rules are not known. */
  retentionDays: z.int().optional(),
  /**
   * Days until a backup of each tier expires; absent without tiers. What lies beside them is kept
   * `retentionDays`, a suspect one as long as a daily one.
   */
  tierDays: tierDaysSchema.optional(),
  /** Price that the program was given. US dollars for 10^9 bytes in a month. */
  usdPerGbMonth: z.number().optional(),
  /** When the latest backup is older than this, it is drift. Hours. */
  rpoHours: z.number(),
  /** Absent where no copy is made. */
  copy: copySchema.optional(),
  /** Absent where nothing is declared of drills, or an older version wrote this. */
  drill: drillSchema.optional(),
  /** How data is handed over. `mask`: file with SQL, relative to the folder of Pulumi.yaml. Absent: nothing is declared of it. */
  pull: z.object({ mask: z.string() }).optional(),
  /** Absent where it is not switched on, or an older version wrote this. */
  pointInTime: pointInTimeSchema.optional(),
});

export type BackupOutputs = z.infer<typeof backupOutputsSchema>;

/**
 * Finds the backups that a stack publishes.
 * @param outputs plain values of `pulumi stack output --json`
 */
export function findBackupOutputs(outputs: Record<string, unknown>): BackupOutputs[] {
  return Object.values(outputs).flatMap((value) => {
    const kind = (value as { kind?: unknown } | null)?.kind;
    return kind === "kamal-postgres-backup" ? [backupOutputsSchema.parse(value)] : [];
  });
}
