import { connect, endingOnAbort } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import type { Plan } from "./plan.ts";
import { compareWithManifest } from "./rowCounts.ts";

/** What was compared of a restored database. */
export interface Compared {
  /** False for a backup without manifest: there was nothing to compare with. */
  readonly compared: boolean;
  readonly tables: number;
  readonly rows: number;
}

/** What a loaded database needs before it is used. Side by side: both read, and there may be more than one core. */
export async function checkRestored(context: AgentContext, plan: Plan): Promise<Compared> {
  const [compared, analyzed] = await Promise.allSettled([
    compare(context, plan),
    analyze(context, plan),
  ]);
  if (compared.status === "rejected") throw compared.reason;
  if (analyzed.status === "rejected") throw analyzed.reason;
  return compared.value;
}

/** Planner statistics are not in a dump; without them the application's first queries would be planned blindly. */
async function analyze(
  { settings, signal }: AgentContext,
  { temporaryName: fresh }: Plan,
): Promise<void> {
  const client = await connect(settings.postgres, fresh);
  await endingOnAbort(client, signal, () => client.query("ANALYZE"));
}

async function compare(
  { settings, report, signal }: AgentContext,
  { temporaryName: fresh, manifest }: Plan,
): Promise<Compared> {
  if (manifest === null) return { compared: false, tables: 0, rows: 0 };
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
    const result = await compareWithManifest(client, manifest, progress);
    report.line(
      `Compared ${result.tables} tables, ${result.rows} rows, ${manifest.largeObjects} large objects: equal to the snapshot.`,
    );
    return { compared: true, ...result };
  });
}

function elapsedSince(started: number): number {
  return Math.round(performance.now() - started);
}
