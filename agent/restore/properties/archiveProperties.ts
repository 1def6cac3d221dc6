import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import type { Decoder } from "../../archive/decode.ts";
import { queryToc } from "../../archive/toc/tocReader.ts";
import { identifier } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { unquoted } from "../checks/requirements.ts";
import { LIST_SETTINGS } from "./listSettings.ts";

type Acl = NonNullable<DatabaseProperties["acl"]>;

const NAME = String.raw`"(?:[^"]|"")+"|[^\s";,.]+`;
const TEXT = String.raw`E'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'`;
const HEADER =
  /^-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: .*; Owner: (.*?)(?:; Tablespace: .*)?$/gm;
const ABOUT_DATABASE = /^(?:DATABASE|DATABASE PROPERTIES)$/;
const CREATE = new RegExp(`^CREATE DATABASE (?:${NAME}) WITH `);
const CREATE_OPTION = new RegExp(`([A-Z_]+) = (${TEXT}|${NAME})`, "g");
const OWNER = new RegExp(`^ALTER DATABASE (?:${NAME}) OWNER TO (${NAME})$`);
const FLAG = new RegExp(
  `^ALTER DATABASE (?:${NAME}) (?:WITH )?(CONNECTION LIMIT|IS_TEMPLATE|ALLOW_CONNECTIONS) =? ?(-?\\w+)$`,
);
const SETTING = new RegExp(
  `^ALTER (?:DATABASE (?:${NAME})|ROLE (${NAME}) IN DATABASE (?:${NAME})) SET ((?:${NAME})(?:\\.(?:${NAME}))*) (?:TO|=) ([\\s\\S]*)$`,
);
const COMMENT = new RegExp(`^COMMENT ON DATABASE (?:${NAME}) IS (${TEXT})$`);
const LABEL = new RegExp(`^SECURITY LABEL FOR (${NAME}) ON DATABASE (?:${NAME}) IS (${TEXT})$`);
const PRIVILEGES = new RegExp(
  `^(GRANT|REVOKE) ([A-Z, ]+) ON DATABASE (?:${NAME}) (?:TO|FROM) (${NAME})( WITH GRANT OPTION)?`,
);
const ALL = ["CONNECT", "CREATE", "TEMPORARY"];

/**
 * What an archive itself says of its database, which `pg_restore --create` would make.
 * @returns undefined when the archive has no such entry, or cannot be read
 */
export async function readArchiveProperties(
  context: Pick<AgentContext, "store" | "signal">,
  key: string,
  decoder: Decoder,
): Promise<DatabaseProperties | undefined> {
  const words = ["--create", "--schema-only", "--file=-"];
  const sql = await queryToc(context, key, decoder, words);
  return sql === undefined ? undefined : parseArchiveProperties(sql);
}

/**
 * Reads the statements that dumpDatabase of PostgreSQL 17's pg_dump.c writes.
 * @param sql what `pg_restore --create --schema-only --file=-` prints
 */
export function parseArchiveProperties(sql: string): DatabaseProperties | undefined {
  let found: DatabaseProperties | undefined;
  for (const { owner, statement } of databaseStatements(sql)) {
    if (CREATE.test(statement)) {
      found = created(statement, owner);
    } else if (found !== undefined) {
      found = changed(found, statement);
    }
  }
  return found;
}

/** The statements of the entries that are about the database itself. */
function* databaseStatements(sql: string): Generator<{ owner: string; statement: string }> {
  const headers = [...sql.matchAll(HEADER)];
  for (const [at, header] of headers.entries()) {
    const [line, name = "", type = "", owner = ""] = header;
    const attached = /^(?:ACL|COMMENT|SECURITY LABEL)$/.test(type) && name.startsWith("DATABASE ");
    if (!ABOUT_DATABASE.test(type) && !attached) continue;
    const section = sql.slice(header.index + line.length, headers[at + 1]?.index);
    for (const statement of split(section)) yield { owner, statement };
  }
}

/** Cut at semicolons outside of quotes; comments and psql's own commands are left out. */
function split(section: string): string[] {
  const tokens = new RegExp(`${TEXT}|"(?:[^"]|"")*"|^--.*$|^\\\\.*$|;|[\\s\\S]`, "gm");
  const statements = [""];
  for (const [token] of section.matchAll(tokens)) {
    const last = statements.length - 1;
    if (token === ";") statements.push("");
    else if (/^(?:--|\\)/.test(token)) continue;
    else statements[last] += token;
  }
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== "");
}

function created(statement: string, owner: string): DatabaseProperties {
  const options = new Map(
    [...statement.matchAll(CREATE_OPTION)].map(([, name = "", text = ""]) => [name, value(text)]),
  );
  const locale = options.get("LOCALE") ?? "C";
  const provider = options.get("LOCALE_PROVIDER") ?? "libc";
  return {
    owner,
    encoding: options.get("ENCODING") ?? "UTF8",
    localeProvider: provider,
    collate: options.get("LC_COLLATE") ?? locale,
    ctype: options.get("LC_CTYPE") ?? locale,
    locale:
      provider === "libc"
        ? null
        : (options.get("ICU_LOCALE") ?? options.get("BUILTIN_LOCALE") ?? locale),
    icuRules: options.get("ICU_RULES") ?? null,
    tablespace: options.get("TABLESPACE") ?? "pg_default",
    connectionLimit: -1,
    isTemplate: false,
    allowConnections: true,
    acl: null,
    settings: [],
    comment: null,
    labels: [],
  };
}

function changed(properties: DatabaseProperties, statement: string): DatabaseProperties {
  const owner = OWNER.exec(statement)?.[1];
  if (owner !== undefined) return { ...properties, owner: unquoted(owner) };
  const comment = COMMENT.exec(statement)?.[1];
  if (comment !== undefined) return { ...properties, comment: value(comment) };
  const [, provider, label = ""] = LABEL.exec(statement) ?? [];
  if (provider !== undefined) {
    const labels = [
      ...(properties.labels ?? []),
      { provider: unquoted(provider), label: value(label) },
    ];
    return { ...properties, labels };
  }
  const [, flag, given = ""] = FLAG.exec(statement) ?? [];
  if (flag === "CONNECTION LIMIT") return { ...properties, connectionLimit: Number(given) };
  if (flag === "IS_TEMPLATE") return { ...properties, isTemplate: given === "true" };
  if (flag === "ALLOW_CONNECTIONS") return { ...properties, allowConnections: given !== "false" };
  const [setting, role, name = "", text = ""] = SETTING.exec(statement) ?? [];
  if (setting !== undefined) {
    const plain = name.replaceAll('"', "");
    const made = { role: role === undefined ? null : unquoted(role), name: plain };
    const value = settingValue(plain, text);
    return { ...properties, settings: [...properties.settings, { ...made, value }] };
  }
  const privileges = PRIVILEGES.exec(statement);
  if (privileges !== null) return { ...properties, acl: withPrivileges(properties, privileges) };
  return properties;
}

/** As `pg_db_role_setting` has it: a list is one text of quoted names there. */
function settingValue(name: string, text: string): string {
  const parts = [...text.matchAll(new RegExp(`${TEXT}|[^\\s,]+`, "g"))].map(([part]) =>
    value(part),
  );
  if (!LIST_SETTINGS.has(name)) return parts[0] ?? "";
  return parts.length === 1 && parts[0] === "" ? "" : parts.map(identifier).join(", ");
}

function withPrivileges({ acl, owner }: DatabaseProperties, found: RegExpExecArray): Acl {
  const [, verb, list = "", name = "", option] = found;
  const grantee = name === "PUBLIC" ? null : unquoted(name);
  const words = list.split(",").map((word) => word.trim().replace(/^TEMP$/, "TEMPORARY"));
  const privileges = words.some((word) => word.startsWith("ALL")) ? ALL : words;
  // acldefault of PostgreSQL's acl.c.
  const current: Acl = acl ?? [
    ...["TEMPORARY", "CONNECT"].map((privilege) => ({
      grantee: null,
      privilege,
      grantable: false,
    })),
    ...ALL.map((privilege) => ({ grantee: owner, privilege, grantable: false })),
  ];
  const others = current.filter(
    (entry) => entry.grantee !== grantee || !privileges.includes(entry.privilege),
  );
  if (verb === "REVOKE") return others;
  const grantable = option !== undefined;
  const given = privileges.map((privilege) => ({ grantee, privilege, grantable }));
  // In the order that a server has: PUBLIC, the owner, the others as they were granted.
  const place = (entry: Acl[number]) => [null, owner].indexOf(entry.grantee) >>> 0;
  return [...others, ...given].toSorted((a, b) => place(a) - place(b));
}

/** What a name or a text in quotes stands for. */
function value(text: string): string {
  if (text.startsWith("E'")) {
    return text
      .slice(2, -1)
      .replaceAll("''", "'")
      .replace(/\\([\s\S])/g, "$1");
  }
  return text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : unquoted(text);
}
