import { stripVTControlCharacters, styleText } from "node:util";

/** A column of a table; `right` is for numbers. */
export interface Column {
  readonly title?: string;
  readonly align?: "left" | "right";
}

/**
 * Aligned columns without borders, three spaces apart. A cell may carry colours. The title line is left out where no
 * column has a title.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const titles = columns.map((column) => column.title ?? "");
  const cells = rows.map((row) => row.map((cell) => cell.replace(/[\r\n]+/g, " ")));
  const lines = titles.some((title) => title !== "") ? [titles, ...cells] : cells;
  const widths = columns.map((_, i) => Math.max(0, ...lines.map((line) => width(line[i] ?? ""))));
  return lines.map((line) =>
    columns
      .map((column, i) => pad(line[i] ?? "", widths[i] ?? 0, column.align ?? "left"))
      .join("   ")
      .trimEnd(),
  );
}

/** `[##########----------]`, 20 wide. */
export function renderBar(done: number, total: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const filled = Math.round(share * 20);
  return `[${"#".repeat(filled)}${"-".repeat(20 - filled)}]`;
}

/** Colours of a verdict; nothing is coloured unless standard output is a terminal and NO_COLOR is unset. */
export const paint = {
  good: (text: string) => styleText("green", text),
  bad: (text: string) => styleText("red", text),
  uncertain: (text: string) => styleText("yellow", text),
  faint: (text: string) => styleText("dim", text),
  strong: (text: string) => styleText("bold", text),
};

/** A GitHub Markdown table. */
export function renderMarkdown(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replace(/\s+/g, " ")).join(" | ")} |`;
  return [line(titles), line(titles.map(() => "---")), ...rows.map(line)].join("\n");
}

function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function pad(text: string, to: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, to - width(text)));
  return align === "right" ? space + text : text + space;
}
