import { stripVTControlCharacters, styleText } from "node:util";

/** A column of a table; `right` is for numbers. */
export interface Column {
  readonly title?: string;
  readonly align?: "left" | "right";
  /** Where the table is too wide, such columns are left out, that with the lowest number first. @default it stays */
  readonly givesWay?: number;
  /** Stands in the first line of a row that is folded. @default only the first column does */
  readonly heads?: true;
}

export interface Fit {
  /** Columns of the terminal. @default as many as the table takes */
  readonly room?: number | undefined;
  /** A text below each row, or none; it is never cut. */
  readonly notes?: readonly (string | undefined)[];
}

const GAP = "   ";
/** Words in fewer columns than these would be a ribbon. */
const NARROWEST = 20;

/**
 * Aligned columns without borders, three spaces apart. A cell may carry colours. The title line is left out where no
 * column has a title. A table that is wider than its room leaves out what may give way; then the words of its last column
 * go on below each other; else each row is folded. What stays of a cell is whole, so that a name can be copied.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { room = Number.POSITIVE_INFINITY, notes = [] }: Fit = {},
): string[] {
  const cells = rows.map((row) => row.map((cell) => cell.replace(/[\r\n]+/g, " ")));
  const titles = columns.map((column) => column.title ?? "");
  const lines = titles.some((title) => title !== "") ? [titles, ...cells] : cells;
  const widths = columns.map((_, i) => Math.max(0, ...lines.map((line) => width(line[i] ?? ""))));
  const kept = columnsThatFit(columns, widths, room);
  const all = kept.map((i) => ({ ...columns[i], width: widths[i] ?? 0, index: i }));
  const last = all.at(-1);
  const before = all.slice(0, -1).reduce((sum, one) => sum + one.width + GAP.length, 0);
  const isFolded =
    last !== undefined &&
    before + last.width > room &&
    room - before < Math.min(NARROWEST, last.width);
  const rendered = lines.flatMap((line, at) => {
    const note = notes[at - (lines.length - cells.length)];
    const below = note === undefined ? [] : wrap(`  ${note}`, room);
    if (isFolded) return at < lines.length - cells.length ? [] : [...fold(line), ...below];
    const text = all.map((one) => pad(line[one.index] ?? "", one.width, one.align ?? "left"));
    return [...wrapLast(text, before), ...below];
  });
  return rendered;

  function fold(line: readonly string[]): string[] {
    const values = (heads: boolean) =>
      all
        .filter((one, i) => (one.heads === true || i === 0) === heads)
        .map((one) => {
          const text = line[one.index] ?? "";
          // Without the title above it nobody knows which number it is.
          return text !== "" && one.align === "right" ? `${one.title ?? ""} ${text}` : text;
        })
        .filter((text) => text !== "")
        .join(GAP);
    const rest = values(false);
    return [...wrap(values(true), room), ...(rest === "" ? [] : wrap(`  ${rest}`, room))];
  }

  function wrapLast(text: readonly string[], indent: number): string[] {
    const head = text
      .slice(0, -1)
      .map((cell) => cell + GAP)
      .join("");
    const cell = (text.at(-1) ?? "").trimEnd();
    const [first = "", ...more] = wrap(cell, room - indent);
    const isTooLong = [first, ...more].some((part) => width(part) > room - indent);
    // Below its head there is room for a longer name.
    if (isTooLong && head !== "") return [head.trimEnd(), ...wrap(`    ${cell}`, room)];
    return [
      `${head}${first}`.trimEnd(),
      ...more.map((part) => " ".repeat(indent) + part.trimStart()),
    ];
  }
}

/** Their indices. */
function columnsThatFit(
  columns: readonly Column[],
  widths: readonly number[],
  room: number,
): number[] {
  let kept = columns
    .map((_, i) => i)
    .filter((i) => columns[i]?.title !== undefined || (widths[i] ?? 0) > 0);
  const taken = () => kept.reduce((sum, i) => sum + (widths[i] ?? 0) + GAP.length, -GAP.length);
  const order = kept
    .filter((i) => columns[i]?.givesWay !== undefined)
    .sort((a, b) => (columns[a]?.givesWay ?? 0) - (columns[b]?.givesWay ?? 0));
  for (const next of order) {
    if (taken() <= room) break;
    kept = kept.filter((i) => i !== next);
  }
  return kept;
}

/**
 * A text in lines that fit, broken between its columns where it has some, else between words. A word is never cut: a name or
 * an address that is longer than the room stands whole in a line of its own. What is broken off is indented by two more.
 */
export function wrap(text: string, room = Number.POSITIVE_INFINITY): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, room));
}

function wrapLine(line: string, room: number): string[] {
  if (width(line) <= room) return [line];
  const indent = /^ */.exec(line)?.[0] ?? "";
  const columns = line.trim().split(/ {2,}/);
  const lines: string[] = [];
  let current = "";
  const start = () => (lines.length === 0 ? indent : `${indent}  `);
  const put = (piece: string, gap: string) => {
    const joined = current === "" ? piece : `${current}${gap}${piece}`;
    if (current === "" || width(start() + joined) <= room) {
      current = joined;
      return;
    }
    lines.push(start() + current);
    current = piece;
  };
  for (const column of columns) {
    if (width(start() + column) <= room) put(column, GAP);
    else for (const [i, word] of column.split(" ").entries()) put(word, i === 0 ? GAP : " ");
  }
  return [...lines, start() + current];
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

/** Characters of East Asia and emoji take two columns, marks on a letter none (https://www.unicode.org/reports/tr11/). */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const MARK = /\p{Mark}/u;

/** Columns that a text takes on a terminal. */
export function width(text: string): number {
  let columns = 0;
  for (const character of stripVTControlCharacters(text)) {
    columns += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  }
  return columns;
}

function pad(text: string, to: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, to - width(text)));
  return align === "right" ? space + text : text + space;
}
