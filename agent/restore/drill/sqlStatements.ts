import { Problem } from "../../../common/problem.ts";

/** One statement of a file of SQL. */
export interface SqlStatement {
  /** Without the semicolon. */
  readonly sql: string;
  /** Line on which it begins, from 1. */
  readonly line: number;
  /** The comment right above it, else its first line, cut to 80 characters. */
  readonly name: string;
}

const LONGEST_NAME = 80;

/** What a semicolon may stand in without ending a statement, each matched where it begins. */
const QUOTED = [
  // E'...' knows the backslash; the letter before it was passed already.
  { begin: /(?<=(?<![\w$])[eE])'/y, whole: /'(?:[^'\\]|\\[\s\S]|'')*'/y, what: "a quote" },
  { begin: /'/y, whole: /'(?:[^']|'')*'/y, what: "a quote" },
  { begin: /"/y, whole: /"(?:[^"]|"")*"/y, what: "a quoted name" },
  {
    begin: /(?<![\w$])\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y,
    whole: /(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\1/y,
    what: "a dollar quote",
  },
] as const;

/**
 * Splits a file into its statements, as psql does: at semicolons outside of quotes and comments.
 * @param file what a sentence calls the file
 * @throws Problem when a quote or a comment has no end
 */
export function splitStatements(text: string, file: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let start: number | undefined;
  let comment: { readonly text: string; readonly end: number } | undefined;
  let named = "";
  let at = 0;
  const end = () => {
    const sql = text.slice(start, at).trim();
    if (start !== undefined) {
      statements.push({ sql, line: lineOf(text, start), name: nameOf(named, sql) });
    }
    start = undefined;
    comment = undefined;
  };
  while (at < text.length) {
    const gap = matchAt(/\s+/y, text, at);
    if (gap !== undefined) {
      at += gap.length;
      continue;
    }
    const remark = commentAt(text, at, file);
    if (remark !== undefined) {
      // Several lines of comment are one, unless an empty line stands between them.
      const above = comment && !/\n\s*\n/.test(text.slice(comment.end, at)) ? comment.text : "";
      at += remark.length;
      comment = { text: `${above} ${remark.text}`.trim(), end: at };
      continue;
    }
    if (text[at] === ";") {
      end();
      at += 1;
      continue;
    }
    if (start === undefined) {
      start = at;
      named = comment && !/\n\s*\n/.test(text.slice(comment.end, at)) ? comment.text : "";
    }
    at += quotedAt(text, at, file) ?? 1;
  }
  end();
  return statements;
}

function commentAt(
  text: string,
  at: number,
  file: string,
): { length: number; text: string } | undefined {
  const line = matchAt(/--[^\n]*/y, text, at);
  if (line !== undefined) return { length: line.length, text: line.slice(2).trim() };
  if (!text.startsWith("/*", at)) return undefined;
  // PostgreSQL's comments nest.
  const marks = /\/\*|\*\//g;
  marks.lastIndex = at;
  let depth = 0;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth > 0) continue;
    const whole = text.slice(at, marks.lastIndex);
    return { length: whole.length, text: whole.slice(2, -2).replace(/\s+/g, " ").trim() };
  }
  throw open("a comment", text, at, file);
}

/** Length of what is quoted here; undefined: nothing is. */
function quotedAt(text: string, at: number, file: string): number | undefined {
  const kind = QUOTED.find(({ begin }) => matchAt(begin, text, at) !== undefined);
  if (kind === undefined) return undefined;
  const whole = matchAt(kind.whole, text, at);
  if (whole === undefined) throw open(kind.what, text, at, file);
  return whole.length;
}

function matchAt(sticky: RegExp, text: string, at: number): string | undefined {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0];
}

function open(what: string, text: string, at: number, file: string): Problem {
  return new Problem(`${what} that begins on line ${lineOf(text, at)} of ${file} has no end.`);
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

function nameOf(comment: string, sql: string): string {
  const [first = ""] = (comment || sql).split("\n");
  return first.length > LONGEST_NAME ? `${first.slice(0, LONGEST_NAME - 1)}…` : first;
}
