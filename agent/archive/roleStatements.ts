/** A piece of SQL. `value` of a name is the name itself, of a text what it stands for as far as it is needed here. */
export interface Token {
  readonly kind: "word" | "name" | "text" | "number" | "symbol";
  /** As it stands in the statement. */
  readonly sql: string;
  /** A word in upper case; a name without its quotes, folded to lower case where it had none. */
  readonly value: string;
}

/** Longer ones are passed over: none about a role is. */
const LONGEST_STATEMENT = 64 * 1024;

/**
 * The lexical rules of PostgreSQL 17's scan.l, as far as they decide where a statement, a text or a comment ends, with
 * `standard_conforming_strings` on, as pg_dumpall sets it. psql's own commands end with their line.
 */
const TOKEN = new RegExp(
  [
    String.raw`(?<skip>\s+|--[^\n]*|^\\[^\n]*)`,
    String.raw`(?<comment>/\*)`,
    `(?<quote>[eEbBxXnN]?'|(?:[uU]&)?['"])`,
    String.raw`(?<dollar>\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)`,
    String.raw`(?<number>\d+)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`,
    String.raw`(?<symbol>[\s\S])`,
  ].join("|"),
  "ymu",
);

/**
 * Cuts a dump of roles into its statements. A semicolon in quotes, in a comment or between dollar quotes ends none.
 * @returns one at a time, so that no more than one is in memory; `tokens` is null where it is too long to be about a role
 */
export function* statementsOf(
  sql: string,
): Generator<{ readonly sql: string; readonly tokens: readonly Token[] | null }> {
  let tokens: Token[] = [];
  let start = 0;
  let at = 0;
  const end = () => {
    const text = sql.slice(start, at).trim();
    const whole = text.length <= LONGEST_STATEMENT;
    const statement = { sql: whole ? text : text.slice(0, 200), tokens: whole ? tokens : null };
    tokens = [];
    return statement;
  };
  while (at < sql.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(sql);
    if (match === null) break;
    const { skip, comment, quote, dollar, number, word, symbol } = match.groups ?? {};
    const from = at;
    at = TOKEN.lastIndex;
    if (symbol === ";") {
      at = from;
      if (tokens.length > 0) yield end();
      at = from + 1;
      start = at;
      continue;
    }
    if (comment !== undefined) at = endOfComment(sql, at);
    if (quote !== undefined) at = endOfQuote(sql, at, quote);
    if (dollar !== undefined) {
      const close = sql.indexOf(dollar, at);
      at = close === -1 ? sql.length : close + dollar.length;
    }
    if (skip !== undefined || comment !== undefined) {
      if (tokens.length === 0) start = at;
      continue;
    }
    if (at - start > LONGEST_STATEMENT) continue;
    const piece = sql.slice(from, at);
    if (word !== undefined) tokens.push({ kind: "word", sql: piece, value: piece.toUpperCase() });
    else if (quote?.endsWith('"'))
      tokens.push({ kind: "name", sql: piece, value: unquoted(piece) });
    else if (number !== undefined) tokens.push({ kind: "number", sql: piece, value: piece });
    else if (quote !== undefined || dollar !== undefined) {
      tokens.push({ kind: "text", sql: piece, value: piece });
    } else tokens.push({ kind: "symbol", sql: piece, value: piece });
  }
  if (tokens.length > 0) yield end();
}

/** A quote within is doubled, or behind a backslash where the text begins with E. One that is never closed goes to the end. */
function endOfQuote(sql: string, from: number, begin: string): number {
  const mark = begin.at(-1) as string;
  const escapes = /^e/i.test(begin);
  for (let at = from; ; ) {
    const close = sql.indexOf(mark, at);
    if (close === -1) return sql.length;
    const slash = escapes ? sql.indexOf("\\", at) : -1;
    if (slash !== -1 && slash < close) at = slash + 2;
    else if (sql[close + 1] === mark) at = close + 2;
    else return close + 1;
  }
}

/** Comments of this kind nest. */
function endOfComment(sql: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const match = mark.exec(sql);
    if (match === null) return sql.length;
    depth += match[0] === "/*" ? 1 : -1;
  }
  return mark.lastIndex;
}

function unquoted(piece: string): string {
  return piece.slice(piece.indexOf('"') + 1, -1).replaceAll('""', '"');
}

/** The name of a role that stands at a place; undefined: none does. A name with escapes (`U&"..."`) is none that pg_dumpall writes. */
export function roleNameAt(tokens: readonly Token[], at: number): string | undefined {
  const token = tokens[at];
  if (token?.kind === "name") return token.sql.startsWith('"') ? token.value : undefined;
  if (token?.kind !== "word") return undefined;
  // They stand for another role than one of that name.
  if (/^(CURRENT_USER|CURRENT_ROLE|SESSION_USER|USER|PUBLIC|NONE|ALL)$/.test(token.value)) {
    return undefined;
  }
  return token.sql.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
