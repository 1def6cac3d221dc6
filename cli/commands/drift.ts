import { appendFile } from "node:fs/promises";
import { judgeNewest } from "../backups/driftFreshness.ts";
import { forCopy } from "../session/copy.ts";
import { nameOf } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import { type Difference, judge } from "../stack/differences.ts";
import { previewRefresh, type StackChoice } from "../stack/pulumi.ts";
import { plural } from "../terminal/format.ts";
import { paint, renderMarkdown, renderTable } from "../terminal/render.ts";

/** Exit code that says "reality differs", the same that Pulumi uses for --expect-no-changes. */
export const driftExitCode = 7;

interface Report {
  readonly differences: readonly Difference[];
  /** What a reader should know beside the rows. */
  readonly notes: readonly string[];
}

/**
 * Compares reality with what was declared: cloud and host through the Pulumi engine, data through the agent, or in the
 * bucket while the container does not answer.
 * @returns the exit code: 0 clean, 7 drift
 * @throws Problem when the check itself could not be made
 */
export async function drift(session: Session, stack: StackChoice): Promise<number> {
  const { screen } = session;
  screen.progress("  reading every resource of the stack");
  const reality = judge(await previewRefresh(stack));
  screen.progress("  reading the backups");
  const backups = await judgeNewest(session, stack, reality.differences);
  const copy = forCopy(session);
  const known = [...reality.differences, ...backups.differences];
  const copies = copy && (await judgeNewest(copy, stack, known));
  const report: Report = {
    differences: [...known, ...(copies?.differences ?? [])],
    notes: [
      ...backups.notes,
      ...(copies?.notes ?? []),
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
  const seen = { backups: backups.seen, ...(copies && { copies: copies.seen }) };
  screen.document({ drift: differences.length > 0, differences, notes, seen });
  return differences.length > 0 ? driftExitCode : 0;
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
