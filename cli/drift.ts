import { appendFile } from "node:fs/promises";
import { Problem } from "../storage/problem.ts";
import { judgeAge, listBackups } from "./catalogue.ts";
import { forCopy } from "./copy.ts";
import { forDatabase, isOneOfSeveral, nameOf, namesOf } from "./databases.ts";
import { type Difference, judge } from "./differences.ts";
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
  const { screen } = session;
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
  await summarise(nameOf(session), report);
  const { differences, notes } = report;
  screen.document({ drift: differences.length > 0, differences, notes });
  return differences.length > 0 ? driftExitCode : 0;
}

/**
 * The data plane of each database. One that cannot be judged is itself a broken check, unless drift that is known already
 * explains it.
 */
async function judgeDatabases(session: Session, known: readonly Difference[]): Promise<Report> {
  const late: Difference[] = [];
  try {
    for (const database of await namesOf(session)) {
      late.push(...(await judgeData(forDatabase(session, database))));
    }
    return { differences: late, notes: [] };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const notes = [`the age of the ${newestOf(session)} could not be judged: ${error.message}`];
    if (known.length > 0) return { differences: late, notes };
    if (!(error instanceof ContainerDown)) throw error;
    return { differences: [...late, containerDown(session.container)], notes };
  }
}

async function judgeData(session: Session): Promise<Difference[]> {
  const { backup, container } = session;
  const what = newestOf(session);
  const { ok, newest } = judgeAge(backup, await listBackups(session), Date.now());
  if (ok) return [];
  return [
    {
      plane: "data",
      subject: isOneOfSeveral(backup) ? `${what} of ${backup.database}` : what,
      declared: `RPO ${backup.rpoHours} h`,
      found: newest ? `${formatAge(Date.now() - stampTime(newest.stamp))} old` : "none",
      remedy: `see why: docker logs ${container.name}`,
    },
  ];
}

function newestOf({ ofCopy }: Session): string {
  return ofCopy ? "newest copy" : "newest backup";
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
async function summarise(databases: string, report: Report): Promise<void> {
  const file = process.env["GITHUB_STEP_SUMMARY"];
  if (!file) return;
  await appendFile(file, renderSummary(databases, report));
}

/** The report as Markdown. */
export function renderSummary(databases: string, { differences, notes }: Report): string {
  const rows = differences.map((d) => [d.plane, d.subject, d.declared, d.found, d.remedy]);
  const table =
    rows.length === 0
      ? "No drift."
      : renderMarkdown(["plane", "what", "declared", "found", "remedy"], rows);
  return [`## Backup of ${databases}: drift`, table, ...notes, ""].join("\n\n");
}
