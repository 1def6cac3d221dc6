import type pg from "pg";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { openObject } from "../../storage/s3/download.ts";
import { decodeInto, objectDecoder } from "../archive/decode.ts";
import { identifier } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { readRoles } from "./checks/requiredRoles.ts";
import { unquoted } from "./checks/requirements.ts";
import type { NotRestored } from "./notRestored.ts";

/** What is to be done for roles that a server lacks, in order. */
export interface RolePlan {
  /** Names of the roles to make. */
  readonly names: readonly string[];
  /** Attributes, settings, memberships and comments of those roles. */
  readonly statements: readonly string[];
}

const IDENTIFIER = String.raw`"(?:[^"]|"")+"|[^\s";,]+`;
const CREATE = new RegExp(`^CREATE ROLE (${IDENTIFIER})$`);
const ABOUT = new RegExp(`^(?:ALTER|COMMENT ON) ROLE (${IDENTIFIER}) `);
const MEMBERSHIP = new RegExp(`^GRANT (${IDENTIFIER}) TO (${IDENTIFIER})(?: .*)?$`);
const PARAMETER = new RegExp(
  `^GRANT .* ON PARAMETER .* TO (${IDENTIFIER})(?: WITH GRANT OPTION)?$`,
);

/**
 * Reads the roles stored beside a dump and plans those that the server lacks. Roles that exist are left as they are.
 * @throws Problem when the backup has none, or they cannot be read
 */
export async function planRoles(
  { store, signal }: AgentContext,
  client: pg.Client,
  manifest: Manifest | null,
  secrets: AgeSecrets,
): Promise<RolePlan> {
  const globals = manifest?.globals ?? null;
  if (manifest === null || globals === null) {
    throw new Problem(
      "--globals: this backup was stored without roles and grants. Restore without --globals, and create the roles by hand where they are missing.",
    );
  }
  const form = { compression: "zstd", encryption: manifest.encryption } as const;
  const decoder = await objectDecoder(store, globals.key, form, secrets);
  const { stream } = await openObject(store, globals.key);
  let sql = "";
  try {
    const read = await decodeInto(stream, decoder, "cat", {
      args: [],
      env: process.env,
      signal,
      onOutput: (text) => {
        sql += text;
      },
    });
    if (read.sha256 !== globals.sha256 || read.first.code !== 0) {
      throw new Problem(
        `${globals.key}, the roles and grants, is damaged: its SHA-256 is ${read.sha256}, the manifest says ${globals.sha256}. Restore without --globals.`,
      );
    }
  } finally {
    stream.destroy();
  }
  return rolesToMake(sql, await readRoles(client));
}

/** Of a `pg_dumpall --globals-only` what concerns roles that do not exist. */
export function rolesToMake(sql: string, existing: ReadonlySet<string>): RolePlan {
  const all = splitStatements(sql);
  const named = (form: RegExp, statement: string) =>
    (form.exec(statement) ?? []).slice(1).map((name) => unquoted(name ?? ""));
  const names = all.flatMap((s) => named(CREATE, s)).filter((name) => !existing.has(name));
  const made = new Set(names);
  const statements = all.filter((statement) =>
    [ABOUT, MEMBERSHIP, PARAMETER].some((form) => named(form, statement).some((n) => made.has(n))),
  );
  return { names, statements };
}

/**
 * Makes the roles, all or none. An attribute that the connection's role may not give is a warning, not a failure.
 * @param client connection outside a transaction
 * @throws Problem when a role cannot be made
 */
export async function makeRoles(
  client: pg.Client,
  { names, statements }: RolePlan,
  { report, journal }: Pick<AgentContext, "report" | "journal">,
  notRestored: NotRestored,
): Promise<void> {
  if (names.length === 0) {
    report.line("Roles: every role of the backup exists.");
    return;
  }
  await client.query("BEGIN");
  try {
    for (const name of names) await client.query(`CREATE ROLE ${identifier(name)}`);
    for (const statement of statements) await tryStatement(client, statement, notRestored);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw new Problem(
      `the roles of the backup could not be made: ${error instanceof Error ? error.message : String(error)}. Nothing was changed. The role needs CREATEROLE; a superuser has it.`,
      { cause: error },
    );
  }
  const list = names.map((name) => `"${name}"`).join(", ");
  journal?.stays("roles", `the roles ${list} were made`);
  report.warn(
    `made the roles ${list} without passwords; give those that log in one: ALTER ROLE ... PASSWORD.`,
  );
}

async function tryStatement(
  client: pg.Client,
  statement: string,
  notRestored: NotRestored,
): Promise<void> {
  await client.query("SAVEPOINT role_statement");
  try {
    await client.query(statement);
  } catch (error) {
    await client.query("ROLLBACK TO SAVEPOINT role_statement");
    notRestored.add(`${statement} (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Cuts a dump of roles at its semicolons, those in quotes apart; comments and psql's own commands are left out. */
export function splitStatements(sql: string): string[] {
  const tokens =
    /E'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|^--.*$|^\\.*$|;|\w+|[\s\S]/gm;
  const statements: string[] = [];
  let current = "";
  for (const [token] of sql.matchAll(tokens)) {
    if (token === ";") {
      statements.push(current.trim());
      current = "";
    } else if (!/^(--|\\)/.test(token) || current.trim() !== "") {
      current += token;
    }
  }
  return statements.filter((statement) => statement !== "");
}
