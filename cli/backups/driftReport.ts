import { appendFile } from "node:fs/promises";
import type { Difference, NotChecked } from "../stack/differences.ts";
import { plural } from "../terminal/format.ts";
import { paint, renderMarkdown } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

/** What `drift` has found. */
export interface DriftReport {
  readonly differences: readonly Difference[];
  readonly notChecked: readonly NotChecked[];
  /** What a reader should know beside the rows. */
  readonly notes: readonly string[];
}

/** Prints the rows, the notes and the count. */
export function printReport(screen: Screen, { differences, notChecked, notes }: DriftReport): void {
  const rows = differences.map(({ plane, subject, declared, found, remedy }) => [
    plane,
    subject,
    plane === "data" ? declared : `declared ${declared}`,
    paint.bad(plane === "data" ? found : `found ${found}`),
    paint.faint(remedy),
  ]);
  screen.table([{}, { heads: true }, {}, {}, {}], rows);
  for (const one of notChecked) screen.line(paint.uncertain(describeUnchecked(one)));
  for (const note of notes) screen.line(`note: ${note}`);
  screen.line(
    differences.length > 0
      ? paint.bad(plural(differences.length, "difference"))
      : paint.good(verdict(notChecked)),
  );
}

function describeUnchecked({ subject, reason }: NotChecked): string {
  return `not checked: ${subject} (${reason})`;
}

function verdict(notChecked: readonly NotChecked[]): string {
  return notChecked.length === 0 ? "no drift" : "no drift in what was checked";
}

/** A GitHub job summary, where there is one to write to. */
export async function writeJobSummary(databases: string, report: DriftReport): Promise<void> {
  const file = process.env["GITHUB_STEP_SUMMARY"];
  if (!file) return;
  await appendFile(file, renderSummary(databases, report));
}

/** The report as Markdown. */
export function renderSummary(
  databases: string,
  { differences, notChecked, notes }: DriftReport,
): string {
  const rows = differences.map((d) => [d.plane, d.subject, d.declared, d.found, d.remedy]);
  const table =
    rows.length === 0
      ? `${sentence(verdict(notChecked))}.`
      : renderMarkdown(["plane", "what", "declared", "found", "remedy"], rows);
  const unchecked = notChecked.map((one) => sentence(describeUnchecked(one)));
  return [`## Backup of ${databases}: drift`, table, ...unchecked, ...notes, ""].join("\n\n");
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
