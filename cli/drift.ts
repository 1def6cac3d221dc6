import { appendFile } from "node:fs/promises";
import type { BackupOutputs } from "../components/outputs.ts";
import { Problem } from "../storage/problem.ts";
import { judgeAge, listBackups } from "./catalogue.ts";
import { forCopy } from "./copy.ts";
import { databasesOf, forDatabase } from "./databases.ts";
import { type Difference, judge } from "./differences.ts";
import type { Entry } from "./events.ts";
import { formatAge, plural, stampTime } from "./format.ts";
import { previewRefresh, type StackChoice } from "./pulumi.ts";
import { type Container, ContainerDown } from "./remote.ts";
import { paint, renderMarkdown, renderTable } from "./render.ts";
import type { Session } from "./session.ts";

/** Exit code that says "reality differs", the same that Pulumi uses for --expect-no-changes. */
export const driftExitCode = 7;

interface Report {
  readonly differences: readonly Difference[];
  /** What a reader should know beside the rows. */
  readonly notes: readonly string[];
}

const NOTHING: Report = { differences: [], notes: [] };

/**
 * Compares reality with what was declared: cloud and host through the Pulumi engine, data through the agent.
 * @returns the exit code: 0 clean, 7 drift
 * @throws Problem when the check itself could not be made
 */
export async function drift(session: Session, stack: StackChoice): Promise<number> {
  const { backup, screen } = session;
  screen.progress("  reading every resource of the stack");
  const reality = judge(await previewRefresh(stack));
  screen.progress("  reading the backups");
  const backups = await judgeDatabases(session, reality.differences);
  const copy = forCopy(session);
  const known = [...reality.differences, ...backups.differences];
  const copies = copy ? await judgeDatabases(copy, known) : NOTHING;
  const report: Report = {
    differences: [...known, ...copies.differences],
    notes: [
      ...backups.notes,
      ...copies.notes,
      ...(reality.others === 0
        ? []
        : [
            `${plural(reality.others, "resource")} of the stack outside the backup also differ from the state: pulumi refresh --preview-only`,
          ]),
    ],
  };
  for (const line of renderReport(report)) screen.line(line);
  await summarise(backup, report);
  const { differences, notes } = report;
  screen.document({ drift: differences.length > 0, differences, notes });
  return differences.length > 0 ? driftExitCode : 0;
}

/** The data plane of each database. */
async function judgeDatabases(session: Session, known: readonly Difference[]): Promise<Report> {
  const reports: Report[] = [];
  for (const database of session.databases) {
    reports.push(await judgeData(forDatabase(session, database), known));
  }
  return {
    differences: reports.flatMap(({ differences }) => differences),
    notes: [...new Set(reports.flatMap(({ notes }) => notes))],
  };
}

/** A data plane that cannot be judged is itself a broken check, unless drift that is known already explains it. */
async function judgeData(session: Session, known: readonly Difference[]): Promise<Report> {
  const { backup, container } = session;
  const what = session.ofCopy ? "newest copy" : "newest backup";
  let entries: Entry[];
  try {
    entries = await listBackups(session);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const notes = [`the age of the ${what} could not be judged: ${error.message}`];
    if (known.length > 0) return { differences: [], notes };
    if (!(error instanceof ContainerDown)) throw error;
    return { differences: [containerDown(container)], notes };
  }
  const now = Date.now();
  const { ok, newest } = judgeAge(backup, entries, now);
  if (ok) return NOTHING;
  const late: Difference = {
    plane: "data",
    subject: databasesOf(backup).length > 1 ? `${what} of ${backup.database}` : what,
    declared: `RPO ${backup.rpoHours} h`,
    found: newest ? `${formatAge(now - stampTime(newest.stamp))} old` : "none",
    remedy: `see why: docker logs ${container.name}`,
  };
  return { differences: [late], notes: [] };
}

/** The container went down after the engine had looked. */
function containerDown({ host, name }: Container): Difference {
  return {
    plane: "host",
    subject: `${host} ${name}`,
    declared: "running",
    found: "not running",
    remedy: "pulumi up starts it",
  };
}

/** The rows, the notes and the count. */
export function renderReport({ differences, notes }: Report): string[] {
  const rows = differences.map(({ plane, subject, declared, found, remedy }) => [
    plane,
    subject,
    plane === "data" ? declared : `declared ${declared}`,
    paint.bad(plane === "data" ? found : `found ${found}`),
    paint.faint(remedy),
  ]);
  return [
    ...renderTable([{}, {}, {}, {}, {}], rows),
    ...notes.map((note) => `note: ${note}`),
    differences.length === 0
      ? paint.good("no drift")
      : paint.bad(plural(differences.length, "difference")),
  ];
}

/** A GitHub job summary, where there is one to write to. */
async function summarise(backup: BackupOutputs, report: Report): Promise<void> {
  const file = process.env["GITHUB_STEP_SUMMARY"];
  if (!file) return;
  await appendFile(file, renderSummary(backup.database, report));
}

/** The report as Markdown. */
export function renderSummary(database: string, { differences, notes }: Report): string {
  const rows = differences.map((d) => [d.plane, d.subject, d.declared, d.found, d.remedy]);
  const table =
    rows.length === 0
      ? "No drift."
      : renderMarkdown(["plane", "what", "declared", "found", "remedy"], rows);
  return [`## Backup of ${database}: drift`, table, ...notes, ""].join("\n\n");
}
