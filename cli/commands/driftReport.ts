import { appendFile } from "node:fs/promises";
import type { Difference } from "../stack/differences.ts";
import { plural } from "../terminal/format.ts";
import { paint, renderMarkdown, renderTable } from "../terminal/render.ts";

/** What `drift` has found. */
export interface DriftReport {
  readonly differences: readonly Difference[];
  /** What a reader should know beside the rows. */
  readonly notes: readonly string[];
}

/** The rows, the notes and the count. */
export function renderReport({ differences, notes }: DriftReport): string[] {
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
export async function writeJobSummary(databases: string, report: DriftReport): Promise<void> {
  const file = process.env["GITHUB_STEP_SUMMARY"];
  if (!file) return;
  await appendFile(file, renderSummary(databases, report));
}

/** The report as Markdown. */
export function renderSummary(databases: string, { differences, notes }: DriftReport): string {
  const rows = differences.map((d) => [d.plane, d.subject, d.declared, d.found, d.remedy]);
  const table =
    rows.length === 0
      ? "No drift."
      : renderMarkdown(["plane", "what", "declared", "found", "remedy"], rows);
  return [`## Backup of ${databases}: drift`, table, ...notes, ""].join("\n\n");
}
