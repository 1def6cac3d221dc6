import { Problem } from "../../common/problem.ts";
import { roleNameAt, statementsOf, type Token } from "./roleStatements.ts";

/** Attributes that reach beyond one database: https://www.postgresql.org/docs/17/role-attributes.html */
export const PRIVILEGED = [
  "SUPERUSER",
  "CREATEROLE",
  "CREATEDB",
  "REPLICATION",
  "BYPASSRLS",
] as const;
export type PrivilegedAttribute = (typeof PRIVILEGED)[number];

/** A membership, `GRANT role TO member`. */
export interface Membership {
  readonly role: string;
  readonly member: string;
  /** `ADMIN OPTION`, `INHERIT TRUE`. */
  readonly options: readonly string[];
  readonly grantedBy: string | null;
}

/** A statement about one role, of which every word is known. */
export interface RoleStatement {
  readonly role: string;
  readonly sql: string;
  /** Why it gives more than a role of a database needs; null: it does not. */
  readonly privilege: string | null;
}

/** What a dump of roles says, taken apart. Nothing else of it is ever run. */
export interface RoleDump {
  /** Roles that it makes, in its order. */
  readonly names: readonly string[];
  /** Plain attributes, settings, comments and grants on parameters. */
  readonly statements: readonly RoleStatement[];
  readonly privileged: ReadonlyMap<string, ReadonlySet<PrivilegedAttribute>>;
  readonly memberships: readonly Membership[];
  /** Roles for which the dump has a password; it is in none of the statements. */
  readonly passwords: readonly string[];
  /** What was not understood, or is not about roles, as it stands there. */
  readonly leftOut: readonly string[];
}

interface Draft {
  readonly names: Set<string>;
  readonly statements: RoleStatement[];
  readonly privileged: Map<string, Set<PrivilegedAttribute>>;
  readonly memberships: Membership[];
  readonly passwords: string[];
  readonly leftOut: string[];
}

/** What pg_dumpall writes besides, and a restore of one database has no use for. */
const USUAL =
  /^(SET|SELECT pg_catalog\.set_config|(CREATE|ALTER|COMMENT ON|SECURITY LABEL .* ON) TABLESPACE|(GRANT|REVOKE) .* ON TABLESPACE)\b/i;
/** Settings by which a session loads code. */
const LOADING =
  /^(\w+_preload_libraries|dynamic_library_path|extension_control_path|jit_provider)$/i;
/** Of what was left out, so much is remembered. */
const KEPT = 100;
/** No server has so many roles; what was taken apart has to stay in memory. */
const MOST = 100_000;

/**
 * Takes apart what `pg_dumpall --globals-only` writes, or somebody who writes like it: statements about roles are read word
 * by word and written anew, everything else is left out.
 * @throws Problem when there are more than 100,000 of them; its message is the rest of a sentence
 */
export function parseRoleDump(sql: string): RoleDump {
  const draft: Draft = {
    names: new Set(),
    statements: [],
    privileged: new Map(),
    memberships: [],
    passwords: [],
    leftOut: [],
  };
  for (const statement of statementsOf(sql)) {
    if (sizeOf(draft) > MOST) throw new Problem(`it has more than ${MOST} statements about roles.`);
    const tokens = statement.tokens ?? [];
    if (readRole(tokens, draft) || readMembership(tokens, draft)) continue;
    if (readComment(tokens, draft) || readParameter(tokens, draft)) continue;
    if (!USUAL.test(statement.sql) && draft.leftOut.length < KEPT) {
      draft.leftOut.push(statement.sql);
    }
  }
  return { ...draft, names: [...draft.names] };
}

const sizeOf = ({ names, statements, memberships, passwords }: Draft) =>
  names.size + statements.length + memberships.length + passwords.length;

const words = (tokens: readonly Token[], from: number, count: number) =>
  tokens
    .slice(from, from + count)
    .map(({ kind, value }) => (kind === "word" ? value : "?"))
    .join(" ");

/** `CREATE ROLE`, `ALTER ROLE ... WITH ...`, `ALTER ROLE ... SET ...`, also as USER or GROUP. @returns whether it was one */
function readRole(tokens: readonly Token[], draft: Draft): boolean {
  const head = /^(CREATE|ALTER) (ROLE|USER|GROUP)$/.exec(words(tokens, 0, 2));
  const role = roleNameAt(tokens, 2);
  if (head === null || role === undefined) return false;
  if (head[1] === "ALTER" && readSetting(tokens, role, draft)) return true;
  const found = readAttributes(tokens, tokens[3]?.value === "WITH" ? 4 : 3);
  if (found === undefined) return false;
  const { plain, privileged, password } = found;
  if (head[1] === "CREATE") draft.names.add(role);
  if (head[0] === "CREATE USER") plain.unshift("LOGIN");
  if (password) draft.passwords.push(role);
  if (plain.length > 0) {
    const sql = `ALTER ROLE ${quoted(role)} WITH ${plain.join(" ")}`;
    draft.statements.push({ role, sql, privilege: null });
  }
  const all = draft.privileged.get(role) ?? new Set();
  // The last word counts, as in PostgreSQL.
  for (const [attribute, given] of privileged) {
    if (given) all.add(attribute);
    else all.delete(attribute);
  }
  draft.privileged.set(role, all);
  return true;
}

/** @returns undefined where a word is none of the attributes of a role */
function readAttributes(tokens: readonly Token[], from: number) {
  const plain: string[] = [];
  const privileged = new Map<PrivilegedAttribute, boolean>();
  let password = false;
  for (let at = from; at < tokens.length; ) {
    const token = tokens[at] as Token;
    if (token.kind !== "word") return undefined;
    const { value } = token;
    const bare = value.replace(/^NO(?=[A-Z])/, "") as PrivilegedAttribute;
    const next = tokens[at + 1];
    if (PRIVILEGED.includes(bare)) {
      privileged.set(bare, bare === value);
      at += 1;
    } else if (/^(NO)?(LOGIN|INHERIT)$/.test(value)) {
      plain.push(value);
      at += 1;
    } else if (value === "CONNECTION" && next?.value === "LIMIT") {
      const negative = tokens[at + 2]?.value === "-";
      const limit = tokens[at + (negative ? 3 : 2)];
      if (limit?.kind !== "number") return undefined;
      plain.push(`CONNECTION LIMIT ${negative ? "-" : ""}${limit.sql}`);
      at += negative ? 4 : 3;
    } else if (value === "VALID" && next?.value === "UNTIL" && isText(tokens[at + 2])) {
      plain.push(`VALID UNTIL ${tokens[at + 2]?.sql}`);
      at += 3;
    } else if (/^(ENCRYPTED|UNENCRYPTED)$/.test(value) && next?.value === "PASSWORD") {
      at += 1;
    } else if (value === "PASSWORD" && (isText(next) || next?.value === "NULL")) {
      password ||= next?.value !== "NULL";
      at += 2;
    } else return undefined;
  }
  return { plain, privileged, password };
}

/** `ALTER ROLE name [IN DATABASE d] SET parameter TO value, ...` @returns whether it was one */
function readSetting(tokens: readonly Token[], role: string, draft: Draft): boolean {
  const inDatabase = words(tokens, 3, 2) === "IN DATABASE";
  const at = inDatabase ? 6 : 3;
  const database = inDatabase ? roleNameAt(tokens, 5) : null;
  if (database === undefined || tokens[at]?.value !== "SET") return false;
  const parameter = parameterAt(tokens, at + 1);
  const [to, ...values] = tokens.slice(at + 1 + (parameter?.length ?? 0));
  if (parameter === undefined || !(to?.value === "TO" || to?.value === "=")) return false;
  // A list of values and nothing behind it.
  const isList = values.every((value, index) => {
    if (index % 2 === 1) return value.value === ",";
    return isText(value) || ["number", "word", "name"].includes(value.kind);
  });
  if (!isList || values.length % 2 === 0) return false;
  const where = database === null ? "" : ` IN DATABASE ${quoted(database)}`;
  const list = values.map((value) => value.sql).join(" ");
  const sql = `ALTER ROLE ${quoted(role)}${where} SET ${parameter.sql} TO ${list}`;
  const privilege = LOADING.test(parameter.name) ? `loads code by ${parameter.name}` : null;
  draft.statements.push({ role, sql, privilege });
  return true;
}

/** The name of a parameter, `work_mem` or `app.tenant`. */
function parameterAt(tokens: readonly Token[], at: number) {
  const parts: string[] = [];
  let length = 0;
  for (;;) {
    const token = tokens[at + length];
    if (token?.kind !== "word" && token?.kind !== "name") return undefined;
    parts.push(token.kind === "name" ? token.value : token.sql.toLowerCase());
    length += 1;
    if (tokens[at + length]?.value !== ".") break;
    length += 1;
  }
  return { name: parts.join("."), sql: parts.map(quoted).join("."), length };
}

/** `GRANT role TO member WITH ... GRANTED BY ...` @returns whether it was one */
function readMembership(tokens: readonly Token[], draft: Draft): boolean {
  const role = roleNameAt(tokens, 1);
  const member = roleNameAt(tokens, 3);
  if (tokens[0]?.value !== "GRANT" || tokens[2]?.value !== "TO") return false;
  if (role === undefined || member === undefined) return false;
  const rest = tokens.slice(4).map(({ value }) => value);
  const by = words(tokens, tokens.length - 3, 2) === "GRANTED BY" ? tokens.length - 3 : undefined;
  const grantedBy = by === undefined ? null : roleNameAt(tokens, tokens.length - 1);
  if (grantedBy === undefined) return false;
  const words4 = rest.slice(0, by === undefined ? undefined : by - 4).join(" ");
  const options = words4 === "" ? [] : words4.replace(/^WITH /, "").split(" , ");
  const known = /^(ADMIN|INHERIT|SET) (OPTION|TRUE|FALSE)$/;
  if (!options.every((option) => known.test(option))) return false;
  draft.memberships.push({ role, member, options, grantedBy });
  return true;
}

/** `COMMENT ON ROLE name IS '...'` @returns whether it was one */
function readComment(tokens: readonly Token[], draft: Draft): boolean {
  const role = roleNameAt(tokens, 3);
  const [is, text, ...more] = tokens.slice(4);
  if (words(tokens, 0, 3) !== "COMMENT ON ROLE" || role === undefined) return false;
  if (is?.value !== "IS" || !isText(text) || more.length > 0) return false;
  const sql = `COMMENT ON ROLE ${quoted(role)} IS ${text?.sql}`;
  draft.statements.push({ role, sql, privilege: null });
  return true;
}

/** `GRANT SET, ALTER SYSTEM ON PARAMETER name TO role` @returns whether it was one */
function readParameter(tokens: readonly Token[], draft: Draft): boolean {
  const on = tokens.findIndex(({ value }) => value === "ON");
  const rights = tokens.slice(1, on).map(({ value }) => value);
  const known = /^(SET|ALTER SYSTEM|ALL|ALL PRIVILEGES)$/;
  const listed = rights.join(" ").split(" , ");
  if (tokens[0]?.value !== "GRANT" || words(tokens, on, 2) !== "ON PARAMETER") return false;
  const parameter = parameterAt(tokens, on + 2);
  if (parameter === undefined || !listed.every((right) => known.test(right))) return false;
  const to = on + 2 + parameter.length;
  const role = roleNameAt(tokens, to + 1);
  const rest = tokens.slice(to + 2).map(({ value }) => value);
  if (tokens[to]?.value !== "TO" || role === undefined) return false;
  if (rest.length > 0 && rest.join(" ") !== "WITH GRANT OPTION") return false;
  const sql = `GRANT ${listed.join(", ")} ON PARAMETER ${parameter.sql} TO ${quoted(role)}${rest.length > 0 ? " WITH GRANT OPTION" : ""}`;
  // Whoever may set these for the whole server, or for sessions that load code, may run what they like as the server.
  const strong = listed.join() !== "SET" || LOADING.test(parameter.name);
  const privilege = strong ? `${listed.join(", ")} on parameter ${parameter.name}` : null;
  draft.statements.push({ role, sql, privilege });
  return true;
}

function isText(token: Token | undefined): boolean {
  // Plain or with escapes; one between dollars may hold anything, and pg_dumpall writes none.
  return token?.kind === "text" && /^[eE]?'/.test(token.sql);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
