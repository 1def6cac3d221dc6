import { stripVTControlCharacters } from "node:util";

/** Of `paint` in cli/terminal/render.ts: bold, dim, red, green, yellow; 22 and 39 end them. */
const COLOURS: Readonly<Record<string, string>> = {
  "1": 'font-weight="bold"',
  "2": 'fill="#8b949e"',
  "31": 'fill="#ff7b72"',
  "32": 'fill="#7ee787"',
  "33": 'fill="#e3b341"',
};
const ESCAPE = "\u001b";
const COLOUR = new RegExp(`${ESCAPE}\\[(\\d+)m`);
/** What stood in a line before it was redrawn, by the command line or by a question. */
const ERASED = new RegExp(`^[^]*(?:\\r${ESCAPE}\\[2K|${ESCAPE}\\[1G${ESCAPE}\\[0J)`);
const MOVES_OF_CURSOR = new RegExp(`${ESCAPE}\\[\\d*[A-HJK]`, "g");
const PROMPT = 'fill="#79c0ff"';
const FONT_SIZE = 13;
const CHARACTER = 7.8;
const LINE = 18;
const MARGIN = 18;
const BAR = 34;

/**
 * A picture of a terminal, as SVG.
 * @param lines with the colours of the command line; one that begins with `$ ` was typed
 * @param title what is read aloud in its place
 */
export function drawTerminal(lines: readonly string[], title: string): string {
  const columns = Math.max(...lines.map((line) => stripVTControlCharacters(line).length));
  const width = Math.ceil(columns * CHARACTER + 2 * MARGIN);
  const height = BAR + lines.length * LINE + MARGIN;
  const texts = lines.flatMap((line, at) =>
    line === "" ? [] : [`  <text x="${MARGIN}" y="${BAR + (at + 1) * LINE}">${spans(line)}</text>`],
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre }</style>`,
    `  <rect width="100%" height="100%" rx="8" fill="#0d1117"/>`,
    ...["#ff5f57", "#febc2e", "#28c840"].map(
      (fill, at) => `  <circle cx="${MARGIN + 5 + at * 18}" cy="18" r="5" fill="${fill}"/>`,
    ),
    ...texts,
    "</svg>",
  ].join("\n")}\n`;
}

/** A line in pieces of one colour each. */
function spans(line: string): string {
  if (line.startsWith("$ ")) return `<tspan ${PROMPT}>${escaped(line)}</tspan>`;
  let style: string | undefined;
  const pieces = line.split(COLOUR).map((piece, at) => {
    if (at % 2 === 1) {
      style = COLOURS[piece];
      return "";
    }
    if (piece === "" || style === undefined) return escaped(piece);
    return `<tspan ${style}>${escaped(piece)}</tspan>`;
  });
  return pieces.join("");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The lines that stand on a terminal after all of this was written to it. */
export function linesLeft(text: string): string[] {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.replace(ERASED, "").replaceAll(MOVES_OF_CURSOR, ""));
  return lines.slice(0, lines.findLastIndex((line) => line.trim() !== "") + 1);
}
