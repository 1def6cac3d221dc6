import type pg from "pg";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import { messageOf } from "../../../common/problem.ts";
import { readProperties } from "../../postgres/databaseProperties.ts";
import { compactStamp, identifier, literal, siblingName } from "../../postgres/identifiers.ts";
import { unquoted } from "../checks/requirements.ts";
import type { NotRestored } from "../notRestored.ts";
import { LIST_SETTINGS } from "./listSettings.ts";
import { labelName, settingName } from "./propertyNames.ts";

/**
 * The name, free on this server, under which a database that is replaced stays.
 * @param now two runs may fall into one second; the later one then names the next free one
 */
export async function freeName(
  client: pg.Client,
  database: string,
  word: "before" | "undone",
  now: Date,
): Promise<string> {
  const { rows } = await client.query<{ datname: string }>("SELECT datname FROM pg_database");
  const taken = new Set(rows.map(({ datname }) => datname));
  for (let time = now.getTime(); ; time += 1000) {
    const name = siblingName(database, word, compactStamp(new Date(time)));
    if (!taken.has(name)) return name;
  }
}

/** A statement that gives a database one of its properties. */
interface PropertyStatement {
  /** The property, for a sentence. */
  readonly what: string;
  readonly sql: string;
}

/** Statements that give a restored database its settings, privileges, labels, limit and flags. */
export function propertyStatements(name: string, model: DatabaseProperties): PropertyStatement[] {
  const database = identifier(name);
  const statements: PropertyStatement[] = [];
  for (const { role, name: setting, value: raw } of model.settings) {
    if (raw === undefined) continue;
    // An empty name in a list is stored as "", which can only be given as a text.
    const value = LIST_SETTINGS.has(setting)
      ? namesIn(raw).map(literal).join(", ") || literal("")
      : literal(raw);
    const subject =
      role === null
        ? `ALTER DATABASE ${database}`
        : `ALTER ROLE ${identifier(role)} IN DATABASE ${database}`;
    const parameter = setting.split(".").map(identifier).join(".");
    statements.push({
      what: settingName({ role, name: setting }),
      sql: `${subject} SET ${parameter} TO ${value}`,
    });
  }
  if (model.acl !== null) {
    const privileges = (sql: string) => statements.push({ what: PRIVILEGES, sql });
    privileges(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
    privileges(`REVOKE ALL ON DATABASE ${database} FROM ${identifier(model.owner)}`);
    for (const { grantee, privilege, grantable } of model.acl) {
      const to = grantee === null ? "PUBLIC" : identifier(grantee);
      const option = grantable ? " WITH GRANT OPTION" : "";
      privileges(`GRANT ${privilege} ON DATABASE ${database} TO ${to}${option}`);
    }
  }
  for (const { provider, label } of model.labels ?? []) {
    if (label === undefined) continue;
    const sql = `SECURITY LABEL FOR ${identifier(provider)} ON DATABASE ${database} IS ${literal(label)}`;
    statements.push({ what: labelName({ provider }), sql });
  }
  const set = (what: string, words: string) =>
    statements.push({ what, sql: `ALTER DATABASE ${database} ${words}` });
  if (model.connectionLimit !== -1) set(LIMIT, `CONNECTION LIMIT ${model.connectionLimit}`);
  if (model.isTemplate) set(TEMPLATE, "IS_TEMPLATE true");
  if (!model.allowConnections) set(CONNECTIONS, "ALLOW_CONNECTIONS false");
  return statements;
}

const PRIVILEGES = "the privileges on the database";
const LIMIT = "the connection limit of the database";
const TEMPLATE = "that the database is a template";
const CONNECTIONS = "that the database takes no connections";

/**
 * Gives a restored database its properties, and then looks what it has. What it has not is noted, not a failure: the data
 * is whole.
 */
export async function copyProperties(
  maintenance: pg.Client,
  name: string,
  model: DatabaseProperties,
  notRestored: NotRestored,
): Promise<void> {
  const failures = new Map<string, string>();
  for (const { what, sql } of propertyStatements(name, model)) {
    try {
      await maintenance.query(sql);
    } catch (error) {
      failures.set(what, messageOf(error));
    }
  }
  const found = await readProperties(maintenance, name);
  if (found === null) return;
  for (const what of differences(model, found)) {
    const why = failures.get(what);
    notRestored.add(why === undefined ? what : `${what}: ${why}`);
  }
}

/** Names of the properties that a database has not as it should. */
export function differences(wanted: DatabaseProperties, found: DatabaseProperties): string[] {
  const missing: string[] = [];
  const compare = (what: string, is: unknown, shouldBe: unknown) => {
    if (is !== shouldBe) missing.push(what);
  };
  compare("the owner of the database", found.owner, wanted.owner);
  compare(LIMIT, found.connectionLimit, wanted.connectionLimit);
  compare(TEMPLATE, found.isTemplate, wanted.isTemplate);
  compare(CONNECTIONS, found.allowConnections, wanted.allowConnections);
  compare(PRIVILEGES, aclText(found), aclText(wanted));
  const has = new Map(found.settings.map((setting) => [settingName(setting), setting.value]));
  for (const setting of wanted.settings) {
    const what = settingName(setting);
    if (setting.value === undefined) continue;
    // A list is stored anew, with quotes only where they are needed.
    const plain = (text: string) =>
      LIST_SETTINGS.has(setting.name) ? JSON.stringify(namesIn(text)) : text;
    const value = has.get(what);
    compare(what, value && plain(value), plain(setting.value));
  }
  const labels = new Map(found.labels?.map(({ provider, label }) => [provider, label]));
  for (const { provider, label } of wanted.labels ?? []) {
    if (label !== undefined) compare(labelName({ provider }), labels.get(provider), label);
  }
  return missing;
}

/** A list as `pg_db_role_setting` has it. Without a name it is stored as `""`. */
function namesIn(text: string): string[] {
  const names = [...text.matchAll(/"(?:[^"]|"")*"|[^\s,]+/g)].map(([name]) => unquoted(name));
  return names.length === 1 && names[0] === "" ? [] : names;
}

/** Comparable whatever the order; the default privileges written out are the default ones. */
function aclText({ acl, owner }: DatabaseProperties): string {
  const entries = acl ?? [
    ...["CONNECT", "TEMPORARY"].map((privilege) => ({
      grantee: null,
      privilege,
      grantable: false,
    })),
    ...["CONNECT", "CREATE", "TEMPORARY"].map((privilege) => ({
      grantee: owner,
      privilege,
      grantable: false,
    })),
  ];
  const texts = entries.map(({ grantee, privilege, grantable }) =>
    JSON.stringify([grantee, privilege, grantable]),
  );
  return [...new Set(texts)].toSorted().join();
}

/**
 * Options of CREATE DATABASE for a database like the given one.
 * @param server a value that a new database has anyway is not written: naming even the default tablespace takes a right
 */
export function createOptions(
  model: DatabaseProperties | null,
  server: { readonly tablespace: string; readonly major: number },
): string {
  // template0 alone is free of local additions and takes any locale.
  const words = ["TEMPLATE template0"];
  if (model === null) return words.join(" ");
  const { localeProvider, icuRules } = model;
  words.push(
    `OWNER ${identifier(model.owner)}`,
    `ENCODING ${literal(model.encoding)}`,
    `LC_COLLATE ${literal(model.collate)}`,
    `LC_CTYPE ${literal(model.ctype)}`,
  );
  if (model.tablespace !== server.tablespace) {
    words.push(`TABLESPACE ${identifier(model.tablespace)}`);
  }
  // PostgreSQL 14 knows the C library's alone, and no word for it.
  if (server.major >= 15) words.push(`LOCALE_PROVIDER ${localeProvider}`);
  if (localeProvider !== "libc") {
    words.push(`${localeProvider.toUpperCase()}_LOCALE ${literal(model.locale ?? "")}`);
  }
  if (icuRules !== null) words.push(`ICU_RULES ${literal(icuRules)}`);
  return words.join(" ");
}
