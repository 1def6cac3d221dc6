import * as z from "zod";
import { Problem } from "../problem.ts";
import { drillRecordSchema } from "./drillRecord.ts";
import { manifestSchema } from "./manifest.ts";
import { ORIGIN_PROBLEMS, SIGNATURES } from "./manifestMac.ts";
import { baseSchema, reachableSchema, recoveryPlanSchema, walStateSchema } from "./pointInTime.ts";
import { restoreRecordSchema } from "./restoreRecord.ts";

// The JSON events of the agent, one a line on its standard output with `--json`: the contract between the container and
// the command line. The schemas are the one source of both sides: the agent writes a `WrittenEvent`; the
// command line reads it with `parseEvent`, which fills in what an older agent does not send and takes a step of a newer one.

/** The run has begun, and stops when its standard input ends. The first of its events. */
const attachedSchema = z.object({ event: z.literal("attached") });

/** Steps of a command whose progress is shown. */
export type ProgressStep =
  | "upload"
  | "download"
  | "restore"
  | "compare"
  | "mask"
  | "check"
  | "base"
  | "wal";

const progressSchema = z.object({
  event: z.literal("progress"),
  step: z.string(),
  bytes: z.number().optional(),
  /** Of `bytes`, or with `done` of tables. */
  total: z.number().optional(),
  /** Tables that are through the step, of `total`. */
  done: z.number().optional(),
  /** With `restore`: the table whose rows were begun last. */
  table: z.string().optional(),
  elapsedMs: z.number(),
});

const backupSchema = z.object({ event: z.literal("backup"), manifest: manifestSchema });

/** A base backup of the server is complete. */
const baseBackupSchema = z.object({ event: z.literal("base"), base: baseSchema });

/** The same backup is in the second bucket too, or only there. */
const copiedSchema = z.object({ event: z.literal("copied"), manifest: manifestSchema });

const restoredSchema = z.object({
  event: z.literal("restored"),
  /** Database that now holds the data. */
  database: z.string(),
  /** Stamp of the backup. */
  from: z.string(),
  /** Name under which the replaced database stays; null where nothing was replaced. */
  previous: z.string().nullable(),
  tables: z.number(),
  rows: z.number(),
  /** False for a backup without manifest: there was nothing to compare with. */
  compared: z.boolean(),
  elapsedMs: z.number(),
  /** Command that swaps back, to be written behind the program's name; null where nothing was replaced. */
  undo: z.string().nullable().default(null),
  /** Every statement of the backup that failed; only a restore that keeps going has any. */
  failed: z
    .array(
      z.object({
        /** `FK CONSTRAINT public.posts posts_uid_fkey`. */
        entry: z.string(),
        /** The statement's first lines; empty for the rows of a table. */
        statement: z.string(),
        /** Why it failed, a sentence without its full stop. */
        error: z.string(),
        /** `left out`, `not valid`, `empty`, `second try`; a newer agent may have others. */
        outcome: z.string(),
      }),
    )
    .readonly()
    .default([]),
  /** Tables whose rows are not those of the snapshot, `public.orders: 4 rows instead of 5`; only where it kept going. */
  differences: z.array(z.string()).readonly().default([]),
  /** What the restore has not brought back, a sentence each; empty: everything is as in the backup. */
  notRestored: z.array(z.string()).readonly().default([]),
  /** System identifier of the server that holds the data now; null: the role may not ask, or the agent is of an earlier version. */
  server: z.string().nullable().default(null),
  /**
   * `parts`: by several connections, each of which fetched what it loaded; `stream`: read whole by one; `scratch`: unpacked first.
   * Null: the agent is of an earlier version.
   */
  way: z.string().nullable().default(null),
  /** Roles that the restore has made and that may log in: no backup has passwords, so they have none yet. */
  loginRoles: z.array(z.string()).readonly().default([]),
});

/** A dry run: what a restore would do. */
const plannedSchema = z.object({
  event: z.literal("planned"),
  database: z.string(),
  from: z.string(),
  key: z.string(),
  bytes: z.number(),
  /** Name under which the replaced database would stay; null where there is none. */
  previous: z.string().nullable(),
  /** Null for the old image's backups, which have no manifest. */
  tables: z.number().nullable(),
  rows: z.number().nullable(),
  /** Roles that would be made. */
  roles: z.array(z.string()).readonly(),
  /** What the restore would not bring back, as far as it is known before. */
  notRestored: z.array(z.string()).readonly().default([]),
});

/** With `--ask`, what the operator has to decide; the run waits for a line with `yes`, or any other word, on its standard input. */
const questionSchema = z.object({
  event: z.literal("question"),
  /** `Restore shop from 2026-11-24T03:15:02?` */
  question: z.string(),
  /** Of the database that it is about. */
  name: z.string(),
  /** What will not be brought back, as far as it is new since the question before. */
  notRestored: z.array(z.string()).readonly(),
});

const undoneSchema = z.object({
  event: z.literal("undone"),
  database: z.string(),
  /** Name that the database had until now, `shop_before_20261124T102110`. */
  from: z.string(),
  /** Name under which the database that it replaces stays; null where there was none. */
  previous: z.string().nullable(),
  elapsedMs: z.number(),
});

const verifiedSchema = z.object({
  event: z.literal("verified"),
  database: z.string(),
  from: z.string(),
  key: z.string(),
  /** `full`: read to its last row. `stored`: only that the stored bytes are whole, since nothing there can decrypt them. */
  depth: z.enum(["full", "stored"]),
  bytes: z.number(),
  /** Tables found in the archive; null when it could not be read. */
  tables: z.number().nullable(),
  /** What was not checked, as a sentence; null when everything was. */
  unchecked: z.string().nullable(),
  /** What the manifest's signature is worth to the keys there; null: there are none, or no manifest, so nothing was checked. */
  signature: z.enum(SIGNATURES).nullable().catch("wrong").default(null),
  elapsedMs: z.number(),
});

/** How a drill ended; its fields mean what they mean in the record that is made of it. */
const drilledSchema = z.object({
  event: z.literal("drilled"),
  ...drillRecordSchema.pick({
    database: true,
    verdict: true,
    reason: true,
    readMs: true,
    loadMs: true,
    totalMs: true,
    tables: true,
    rows: true,
    compared: true,
    checks: true,
    serverMajor: true,
  }).shape,
  /** Stamp of the backup; what was asked for, where none was chosen. */
  from: z.string(),
  /** What the restore has not brought back, a sentence each. */
  notRestored: z.array(z.string()).readonly(),
  /** Statements of the mask that have run; an agent of an earlier version knows none. */
  masked: z.int().nonnegative().default(0),
});

/** The SQL that `dump` writes to standard output is whole. Its events stand on standard error. */
const dumpedSchema = z.object({
  event: z.literal("dumped"),
  database: z.string(),
  /** Stamp of the backup; null: of the database as it is. */
  from: z.string().nullable(),
  elapsedMs: z.number(),
});

const entrySchema = z.object({
  database: z.string(),
  stamp: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
  key: z.string(),
  bytes: z.number(),
  storedAt: z.string(),
  kind: z.enum(["ours", "legacy"]),
  /** The dump was stored after its manifest, which is written last. */
  overwritten: z.boolean().optional(),
  manifestKey: z.string().nullable(),
  /** These four are absent from an agent of the first version, which has neither of them. */
  suspect: z.boolean().default(false),
  tier: z.enum(["daily", "weekly", "monthly"]).nullable().default(null),
  globalsKey: z.string().nullable().default(null),
  verifiedKey: z.string().nullable().default(null),
  /** A mark that it was read back is there, but is not signed with a key that the agent knows. */
  unsignedVerification: z.boolean().optional(),
  /** The deploys before which it was taken, with the key of each mark, and whether that one is not signed so. */
  deploys: z
    .array(z.object({ revision: z.string(), key: z.string(), unsigned: z.boolean().optional() }))
    .readonly()
    .optional(),
  /** What is odd about its parts, as a sentence. */
  notice: z.string().nullish(),
  /** Why it may be somebody else's. A newer agent may know other reasons. */
  originProblem: z.enum(ORIGIN_PROBLEMS).nullish().catch("unsigned"),
  /** The agent reads those of the latest only. A manifest that this version cannot read must not hide the other backups. */
  manifest: manifestSchema.nullish().catch(null),
});

const databasesSchema = z.object({
  event: z.literal("databases"),
  /** What a backup would take now. */
  databases: z.array(z.string()).readonly(),
  /** Those that have a backup in the bucket; null when that was not asked. */
  stored: z.array(z.string()).readonly().nullable(),
});

const keptDatabaseSchema = z.object({
  name: z.string(),
  /** The one that a restore has replaced, or was to make. */
  database: z.string(),
  /** `before`: replaced by a restore. `undone`: replaced by an undo. `unfinished`: left by a restore that was killed. */
  kind: z.enum(["before", "undone", "unfinished"]),
  /** When it got this name, UTC; of an unfinished one the stamp of its backup. */
  stamp: z.string(),
  /** null: the role may not ask. */
  bytes: z.number().nullable(),
  /** Connections to it. */
  sessions: z.number(),
  /** Command that swaps it back, to be written behind the program's name. */
  undo: z.string().nullable(),
  /** ISO 8601 in UTC; the first scheduled backup after it drops the database. null: it stays, or the agent is of an earlier version. */
  dropAfter: z.string().nullable().default(null),
});

const keptSchema = z.object({
  event: z.literal("kept"),
  databases: z.array(keptDatabaseSchema).readonly(),
});

const droppedSchema = z.object({
  event: z.literal("dropped"),
  name: z.string(),
  database: z.string(),
  bytes: z.number().nullable(),
});

const runningSchema = z.object({
  pid: z.number(),
  /** `restore` */
  command: z.string(),
  /** With what it was asked for: `restore 2026-11-24T03:15:02` */
  words: z.string(),
  startedAt: z.string(),
});

const cancelledSchema = z.object({
  event: z.literal("cancelled"),
  runs: z.array(runningSchema).readonly(),
});

const historySchema = z.object({
  event: z.literal("history"),
  records: z.array(restoreRecordSchema).readonly(),
});

/** What goes on in the container, and what was left there. What could not be found out is null; `remarks` says why. */
const activitySchema = z.object({
  event: z.literal("activity"),
  runs: z.array(runningSchema).readonly(),
  kept: z.array(keptDatabaseSchema).readonly().nullable(),
  /** Restores and undos, newest first. */
  records: z.array(restoreRecordSchema).readonly().nullable(),
  /** Uploads of the backups' prefix that were begun and neither finished nor aborted. */
  uploads: z.object({ count: z.number(), oldest: z.string().nullable() }).nullable(),
  remarks: z.array(z.string()).readonly(),
  /** How the WAL is archived; null: point-in-time recovery is not switched on, or has not begun. */
  wal: walStateSchema.nullable().catch(null).default(null),
});

/** A test message has reached the webhook. */
const notifiedSchema = z.object({
  event: z.literal("notified"),
  /** Of the webhook; its path may be a token. */
  host: z.string(),
  /** `json`, `slack`, `teams` */
  format: z.string(),
});

const listSchema = z.object({
  event: z.literal("list"),
  backups: z.array(entrySchema).readonly(),
  /** Why the last run of the container failed; absent or null: it did not, or none has run. */
  lastFailure: z.string().nullish(),
  /** The newest records of drills that count, newest first; absent: the agent is of an earlier version, or could not read them. */
  drills: z.array(drillRecordSchema).readonly().optional().catch(undefined),
});

/** What can be recovered to a point in time. */
const reachableEventSchema = reachableSchema.extend({ event: z.literal("reachable") });

/** Base backup and WAL of a recovery lie in a folder. */
const fetchedSchema = z.object({
  event: z.literal("fetched"),
  plan: recoveryPlanSchema,
  elapsedMs: z.number(),
});

/** One table of a recovered server is in the live database. */
const tableSchema = z.object({
  event: z.literal("table"),
  database: z.string(),
  schema: z.string(),
  /** The name that it has there. */
  table: z.string(),
  rows: z.number(),
  elapsedMs: z.number(),
});
const errorSchema = z.object({ event: z.literal("error"), message: z.string() });

const eventSchema = z.discriminatedUnion("event", [
  attachedSchema,
  progressSchema,
  backupSchema,
  baseBackupSchema,
  copiedSchema,
  restoredSchema,
  plannedSchema,
  questionSchema,
  undoneSchema,
  verifiedSchema,
  drilledSchema,
  dumpedSchema,
  databasesSchema,
  keptSchema,
  droppedSchema,
  cancelledSchema,
  activitySchema,
  historySchema,
  listSchema,
  notifiedSchema,
  reachableEventSchema,
  fetchedSchema,
  tableSchema,
  errorSchema,
]);

/** An event as it was read. */
export type AgentEvent = z.infer<typeof eventSchema>;
/** An event as this version's agent writes it: complete, and with no other step than these. */
export type WrittenEvent =
  | Exclude<AgentEvent, ProgressEvent>
  | (ProgressEvent & { readonly step: ProgressStep });
export type ProgressEvent = z.infer<typeof progressSchema>;
export type CopiedEvent = z.infer<typeof copiedSchema>;
export type RestoredEvent = z.infer<typeof restoredSchema>;
export type DrilledEvent = z.infer<typeof drilledSchema>;
export type QuestionEvent = z.infer<typeof questionSchema>;
export type PlannedEvent = z.infer<typeof plannedSchema>;
export type KeptDatabase = z.infer<typeof keptDatabaseSchema>;
export type RunningCommand = z.infer<typeof runningSchema>;
export type ActivityEvent = z.infer<typeof activitySchema>;
/** One backup as the agent lists it. */
export type Entry = z.infer<typeof entrySchema>;
/** The event that ends a run well. */
export type FinalEvent = Exclude<
  AgentEvent,
  { event: "attached" | "progress" | "copied" | "question" | "error" }
>;

/**
 * What has become of a statement that failed, for the end of a line about it; nothing for one that was left out, or an outcome
 * of a newer agent.
 */
export function outcomeText(outcome: RestoredEvent["failed"][number]["outcome"]): string {
  return OUTCOMES.get(outcome) ?? "";
}

/** The statement that gives a role of `loginRoles` a password; psql's `\password` asks for it and keeps it out of the log. */
export function passwordStatement(role: string): string {
  return `ALTER ROLE "${role.replaceAll('"', '""')}" PASSWORD '...';`;
}

const OUTCOMES: ReadonlyMap<string, string> = new Map([
  ["not valid", "; it is there as NOT VALID: it holds for new rows"],
  ["empty", "; it is there without rows: REFRESH MATERIALIZED VIEW fills it"],
  ["second try", "; at the second try it succeeded"],
]);

const known = new Set(eventSchema.options.map(({ shape }) => shape.event.value as string));

/**
 * Reads one line of the agent's output.
 * @returns undefined for a line that is no event of the agent: a login message, or an event of a newer agent
 * @throws Problem when a known event lacks a field
 */
export function parseEvent(line: string): AgentEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const name = (value as { event?: unknown } | null)?.event;
  if (typeof name !== "string" || !known.has(name)) return undefined;
  const parsed = eventSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Problem(
      `the agent in the container answered "${name}" in a form that this version does not read (${issue?.path.join(".")}: ${issue?.message}). Use the version of kamal-postgres-backup that the container was booted with, or run pulumi up.`,
    );
  }
  return parsed.data;
}
