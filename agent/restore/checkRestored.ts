import type pg from "pg";
import { partialText } from "../../common/contracts/leftOut.ts";
import { BadBackup } from "../../common/problem.ts";
import { connect, endingOnAbort, readClientVersion } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import type { Plan } from "./plan.ts";
import { compareDefinitions } from "./properties/definitions.ts";
import { compareWithManifest, isOfDefinition } from "./rowCounts.ts";

/** What was compared of a restored database. */
export interface Compared {
  /** False for a backup without manifest: there was nothing to compare with. */
  readonly compared: boolean;
  readonly tables: number;
  readonly rows: number;
  /** Tables whose rows are not those of the snapshot; only a restore that keeps going ends well with any. */
  readonly differences: readonly string[];
}

const SHOWN = 5;

/**
 * What a loaded database needs before it is used. Side by side: all read, and there may be more than one core.
 * @param later numbers of entries that are made only after the swap
 */
export async function checkRestored(
  context: AgentContext,
  plan: Plan,
  later: ReadonlySet<number>,
): Promise<Compared> {
  const [compared, analyzed, defined] = await Promise.allSettled([
    compare(context, plan),
    analyze(context, plan),
    checkDefinitions(context, plan, later),
  ]);
  if (compared.status === "rejected") throw compared.reason;
  if (analyzed.status === "rejected") throw analyzed.reason;
  if (defined.status === "rejected") throw defined.reason;
  return compared.value;
}

/**
 * Planner statistics are not in a dump; without them the application's first queries would be planned blindly. They are no
 * part of the data: a table that cannot be analyzed, as with a function in an index that needs the application's search_path,
 * is named, and costs no restore.
 */
async function analyze(
  { settings, report, signal }: AgentContext,
  { temporaryName: fresh }: Plan,
): Promise<void> {
  const client = await connect(settings.postgres, fresh);
  const failed = await endingOnAbort(client, signal, async () => {
    try {
      await client.query("ANALYZE");
      return [];
    } catch (error) {
      if (!isOfDefinition(error)) throw error;
      return analyzeEach(client);
    }
  });
  for (const { table, reason } of failed) {
    report.warn(
      `${table} has no statistics for the planner: ${reason}. Run ANALYZE ${table} there.`,
    );
  }
}

/** The first table that fails ends a plain ANALYZE. */
async function analyzeEach(client: pg.Client): Promise<{ table: string; reason: string }[]> {
  const { rows } = await client.query<{ table: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1`,
  );
  const failed: { table: string; reason: string }[] = [];
  for (const { table } of rows) {
    try {
      await client.query(`ANALYZE ${table}`);
    } catch (error) {
      if (!isOfDefinition(error)) throw error;
      failed.push({ table, reason: error.message });
    }
  }
  return failed;
}

/**
 * Compares objects, owners and grants with what the archive declares. Where a restore keeps going, its failed statements say
 * what is missing.
 */
async function checkDefinitions(
  { settings, report, signal }: AgentContext,
  { temporaryName, manifest, contents, selection, keepGoing, ownership, notRestored }: Plan,
  later: ReadonlySet<number>,
): Promise<void> {
  if (contents === undefined || keepGoing) return;
  const made = contents.items.filter(({ id }) => !selection.leftOut.has(id) && !later.has(id));
  const tool = await readClientVersion("pg_dump");
  const result = await compareDefinitions(settings.postgres, temporaryName, {
    declared: made,
    withOwners: ownership === null,
    sameMajor:
      manifest !== null &&
      tool.major === manifest.server.major &&
      manifest.pgDump.includes(` ${tool.major}.`),
    signal,
  });
  if ("failure" in result) {
    report.warn(`objects, owners and grants were not compared: ${result.failure}.`);
    return;
  }
  const { compared, differences } = result;
  for (const difference of differences) notRestored.add(difference);
  report.line(
    differences.length === 0
      ? `Compared ${compared} definitions with their owners and grants: as the archive declares them.`
      : `Compared ${compared} definitions with their owners and grants: ${differences.length} differ.`,
  );
}

async function compare(
  { settings, report, signal }: AgentContext,
  { temporaryName: fresh, manifest, selection, keepGoing, notRestored, wayOut }: Plan,
): Promise<Compared> {
  if (manifest === null || !selection.rows)
    return { compared: false, tables: 0, rows: 0, differences: [] };
  const client = await connect(settings.postgres, fresh);
  return endingOnAbort(client, signal, async () => {
    const started = performance.now();
    const total = manifest.tables.length;
    const progress = throttled((done: number) =>
      report.event({
        event: "progress",
        step: "compare",
        done,
        total,
        elapsedMs: elapsedSince(started),
      }),
    );
    const { tables: leftOut } = selection;
    const { differences, remarks, notCounted, ...result } = await compareWithManifest(
      client,
      manifest,
      progress,
      leftOut.size === 0 ? undefined : ({ schema, name }) => leftOut.has(`${schema}.${name}`),
    );
    for (const remark of remarks) report.warn(remark);
    for (const { table, reason, denied } of notCounted) {
      report.warn(
        denied
          ? `the rows of ${table} (${reason}) were loaded and not compared: this role may not count them. A superuser can, or a role with BYPASSRLS.`
          : `the rows of ${table} were loaded and not compared: ${reason}.`,
      );
    }
    if (differences.length > 0 && !keepGoing) {
      const more = differences.length > SHOWN ? ` and ${differences.length - SHOWN} more` : "";
      const finding = `the restored data differs from the snapshot: ${differences.slice(0, SHOWN).join("; ")}${more}.`;
      throw new BadBackup(
        `${finding} The live database was not touched; restore another backup. ${wayOut}`,
        finding,
      );
    }
    for (const difference of differences) notRestored.add(`rows of ${difference}`);
    const partial = partialText(manifest);
    const state =
      differences.length > 0
        ? `${differences.length} of them differ from the snapshot`
        : leftOut.size > 0
          ? `equal to the snapshot; ${leftOut.size} tables were left out`
          : partial === null
            ? "equal to the snapshot"
            : `equal to what the backup holds of the snapshot, which is ${partial}`;
    const largeObjects = leftOut.size > 0 ? "" : `, ${manifest.largeObjects} large objects`;
    report.line(`Compared ${result.tables} tables, ${result.rows} rows${largeObjects}: ${state}.`);
    return { compared: true, ...result, differences };
  });
}

function elapsedSince(started: number): number {
  return Math.round(performance.now() - started);
}
