import type pg from "pg";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { globalsKey, parseKey } from "../../storage/catalogue/objectKeys.ts";
import { findOriginal } from "../../storage/catalogue/originalVersion.ts";
import { openObject } from "../../storage/s3/download.ts";
import { explain, isMissing } from "../../storage/s3/errors.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { decodeInto, objectDecoder } from "../archive/decode.ts";
import { type Membership, PRIVILEGED, parseRoleDump } from "../archive/roleDump.ts";
import { identifier } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { readRoles } from "./checks/requiredRoles.ts";
import type { NotRestored } from "./notRestored.ts";

/** What is to be done for roles that a server lacks, in order. */
export interface RolePlan {
  /** Names of the roles to make. */
  readonly names: readonly string[];
  /** Attributes, settings, grants and comments of those roles. */
  readonly statements: readonly string[];
  /** Memberships in which one of those roles is on either side. */
  readonly memberships: readonly Membership[];
  /** What reaches beyond a database, `"app" SUPERUSER, LOGIN`: given, or with `withheld` not. */
  readonly privileges: readonly string[];
  /** True: nobody has agreed to the privileges, so none of the statements gives them. */
  readonly withheld: boolean;
  /** What else is not done, each as a sentence. */
  readonly notices: readonly string[];
}

/** Whose rights are those of the server, or can be turned into them: the roles of PostgreSQL's predefined-roles page that touch files or run programs. */
const SERVER_ROLES = ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"];
/** Compressed and not: the roles of 100,000 users take less. */
const LARGEST = 16 * 1024 * 1024;
const SHOWN = 10;
const CONSENT = "--allow-privileged-roles";

/**
 * Reads the roles stored beside a dump and plans those that the server lacks. Roles that exist are left as they are.
 * @param allowed whether attributes and memberships that reach beyond a database may be given
 * @param needed roles that the backup's objects name; undefined: not known
 * @throws Problem when the backup has none, or they cannot be read
 */
export async function planRoles(
  context: AgentContext,
  client: pg.Client,
  manifest: Manifest | null,
  {
    secrets,
    allowed,
    needed,
  }: {
    readonly secrets: AgeSecrets;
    readonly allowed: boolean;
    readonly needed: ReadonlySet<string> | undefined;
  },
): Promise<RolePlan> {
  if (manifest === null || manifest.globals === null) {
    throw new Problem(
      "--globals: this backup was stored without roles and grants. Restore without --globals, and create the roles by hand where they are missing.",
    );
  }
  const sql = await readRoleDump(context, manifest, secrets);
  const { bootstrapRole } = manifest.server;
  const server = {
    existing: await readRoles(client),
    powerful: await powerfulRoles(client),
    bootstrapRole: needed?.has(bootstrapRole ?? "") === false ? bootstrapRole : undefined,
  };
  try {
    return rolesToMake(sql, server, allowed);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw unreadable(manifest.globals.key, error.message, error);
  }
}

/** The text of the roles, at most 16 MiB of it. */
async function readRoleDump(
  context: AgentContext,
  manifest: Manifest,
  secrets: AgeSecrets,
): Promise<string> {
  const globals = manifest.globals as NonNullable<Manifest["globals"]>;
  const { key } = globals;
  const { prefix } = context.store.address;
  const dump = parseKey(prefix, manifest.object.key);
  const stamp = manifest.takenAt.replace(/Z$/, "");
  const own =
    dump?.kind === "ours" && globalsKey(prefix, manifest.database, stamp, manifest, dump.folder);
  if (key !== own) {
    throw unreadable(key, `does not belong to this backup, whose roles would be ${own}.`);
  }
  if (globals.bytes > LARGEST) {
    throw unreadable(key, `has ${formatBytes(globals.bytes)}, more than is read.`);
  }
  const store = await originalRoles(context, globals);
  const form = { compression: "zstd", encryption: manifest.encryption } as const;
  const decoder = await objectDecoder(store, key, form, secrets);
  const { stream, bytes } = await openObject(store, key);
  const enough = new AbortController();
  let sql = "";
  try {
    if (bytes !== globals.bytes) {
      throw unreadable(
        key,
        `is damaged: it has ${bytes} bytes, the manifest says ${globals.bytes}.`,
      );
    }
    const read = await decodeInto(stream, decoder, "cat", {
      args: [],
      env: process.env,
      signal: AbortSignal.any([context.signal, enough.signal]),
      onOutput: (text) => {
        if (sql.length + text.length <= LARGEST) sql += text;
        else {
          enough.abort(unreadable(key, `unpacks to more than ${formatBytes(LARGEST)} of text.`));
        }
      },
    });
    // The whole object may have been read when its text turned out to be too long.
    enough.signal.throwIfAborted();
    if (read.sha256 !== globals.sha256 || read.first.code !== 0) {
      throw unreadable(
        key,
        `is damaged: its SHA-256 is ${read.sha256}, the manifest says ${globals.sha256}.`,
      );
    }
  } finally {
    stream.destroy();
  }
  return sql;
}

/**
 * Finds the roles as they were written, as with a dump: they are small, so their digest is compared in any case.
 * @returns what reads them under their key
 * @throws Problem when they were overwritten, and the version that was written first cannot be found
 */
async function originalRoles(
  { store, report, signal }: AgentContext,
  globals: NonNullable<Manifest["globals"]>,
): Promise<ObjectStore> {
  const { key } = globals;
  try {
    const { bytes: isBytes = globals.bytes } = await store.head(key);
    const found = await findOriginal(store, globals, { isOverwritten: true, isBytes }, signal);
    if (found.storedAt !== undefined) {
      report.warn(
        `${key}, the roles and grants, was overwritten. The version that was written first, at ${found.storedAt.slice(0, 19)}Z, is taken.`,
      );
    }
    return found.store;
  } catch (error) {
    if (isMissing(error)) throw unreadable(key, "is not there any more.");
    if (!(error instanceof Problem)) throw explain(error, store.address, `read ${key}`);
    throw new Problem(`${error.message} Without the roles and grants, leave out --globals.`, {
      cause: error,
    });
  }
}

function unreadable(key: string, why: string, cause?: unknown): Problem {
  return new Problem(`${key}, the roles and grants, ${why} Restore without --globals.`, { cause });
}

/** Existing roles that are the server's masters, or may become them. */
async function powerfulRoles(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ rolname: string }>(
    `SELECT DISTINCT r.rolname FROM pg_roles r JOIN pg_roles p ON pg_has_role(r.oid, p.oid, 'MEMBER')
     WHERE p.rolsuper OR p.rolcreaterole OR p.rolcreatedb OR p.rolreplication OR p.rolbypassrls
        OR p.rolname = ANY ($1)`,
    [SERVER_ROLES],
  );
  return new Set(rows.map(({ rolname }) => rolname));
}

/** Of a `pg_dumpall --globals-only` what concerns roles that do not exist. */
export function rolesToMake(
  sql: string,
  {
    existing,
    powerful,
    bootstrapRole,
  }: {
    readonly existing: ReadonlySet<string>;
    readonly powerful: ReadonlySet<string>;
    /** The superuser that the old server was made with, where nothing in the backup names it. */
    readonly bootstrapRole?: string | undefined;
  },
  allowed: boolean,
): RolePlan {
  const dump = parseRoleDump(sql);
  const lacking = dump.names.filter((name) => !existing.has(name));
  // This server has a superuser of its own.
  const unneeded = lacking.filter((name) => !allowed && name === bootstrapRole);
  const names = lacking.filter((name) => !unneeded.includes(name));
  const made = new Set(names);
  const own = dump.statements.filter(({ role }) => made.has(role));
  const memberships = dump.memberships.filter(
    ({ role, member }) =>
      (made.has(role) || made.has(member)) &&
      (made.has(role) || existing.has(role)) &&
      (made.has(member) || existing.has(member)),
  );
  const attributes = new Map(
    names.map((name) => [
      name,
      PRIVILEGED.filter((attribute) => dump.privileged.get(name)?.has(attribute)),
    ]),
  );
  // With consent a new role may be powerful, too, and so whoever is a member of it.
  const strong = new Set(powerful);
  if (allowed) for (const [name, has] of attributes) if (has.length > 0) strong.add(name);
  for (let before = -1; allowed && before !== strong.size; ) {
    before = strong.size;
    for (const { role, member } of memberships) if (strong.has(role)) strong.add(member);
  }
  const strongMemberships = memberships.filter(({ role }) => strong.has(role));
  const privileges = [
    ...[...attributes].flatMap(([name, has]) =>
      has.length === 0 ? [] : [`"${name}" ${has.join(", ")}`],
    ),
    ...strongMemberships.map(({ role, member }) => `"${member}" membership in "${role}"`),
    ...own.flatMap(({ role, privilege }) => (privilege === null ? [] : [`"${role}" ${privilege}`])),
  ];
  const given = allowed
    ? [...attributes].flatMap(([name, has]) =>
        has.length === 0 ? [] : [`ALTER ROLE ${identifier(name)} WITH ${has.join(" ")}`],
      )
    : [];
  return {
    names,
    statements: [
      ...own.filter(({ privilege }) => allowed || privilege === null).map((each) => each.sql),
      ...given,
    ],
    memberships: allowed
      ? memberships
      : memberships.filter((each) => !strongMemberships.includes(each)),
    privileges,
    withheld: !allowed && privileges.length > 0,
    notices: [
      ...unneeded.map(
        (name) =>
          `the superuser "${name}" of the server that was backed up is not made, since nothing in the backup names it; ${CONSENT} makes it.`,
      ),
      ...noticesOf(dump, made),
    ],
  };
}

function noticesOf(
  { passwords, leftOut }: ReturnType<typeof parseRoleDump>,
  made: ReadonlySet<string>,
): string[] {
  const notices = passwords
    .filter((name) => made.has(name))
    .map((name) => `a password for the role "${name}" was taken out: a backup gives nobody one.`);
  const shown = leftOut.slice(0, SHOWN).map((sql) => JSON.stringify(sql.slice(0, 80)));
  if (shown.length > 0) {
    const more = leftOut.length > SHOWN ? ` and ${leftOut.length - SHOWN} more` : "";
    notices.push(
      `left out, since only plain statements about roles are run: ${shown.join(", ")}${more}.`,
    );
  }
  return notices;
}

/** Says before the question what is made and what is not. */
export function announceRoles(report: Report, plan: RolePlan, notRestored: NotRestored): void {
  const { names, privileges, withheld, notices } = plan;
  for (const notice of notices) report.warn(`--globals: ${notice}`);
  if (names.length > 0) report.line(`Roles made first: ${inQuotes(names)}.`);
  if (privileges.length === 0) return;
  if (!withheld) {
    report.warn(`--globals: ${CONSENT} gives ${privileges.join("; ")}.`);
    return;
  }
  for (const privilege of privileges) {
    notRestored.add(`${privilege}, which reaches beyond a database and needs ${CONSENT}`);
  }
}

/**
 * Makes the roles, all or none. An attribute that the connection's role may not give is a warning, not a failure.
 * @param client connection outside a transaction
 * @returns those of them that may log in
 * @throws Problem when a role cannot be made
 */
export async function makeRoles(
  client: pg.Client,
  { names, statements, memberships }: RolePlan,
  { report, journal }: Pick<AgentContext, "report" | "journal">,
  notRestored: NotRestored,
): Promise<string[]> {
  if (names.length === 0) {
    report.line("Roles: every role of the backup exists.");
    return [];
  }
  await client.query("BEGIN");
  try {
    // The texts were taken apart by this rule.
    await client.query("SET LOCAL standard_conforming_strings = on");
    for (const name of names) await client.query(`CREATE ROLE ${identifier(name)}`);
    for (const statement of statements) await tryStatements(client, [statement], notRestored);
    for (const membership of memberships) {
      await tryStatements(client, membershipStatements(membership), notRestored);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw new Problem(
      `the roles of the backup could not be made: ${messageOf(error)}. Nothing was changed. The role needs CREATEROLE; a superuser has it.`,
      { cause: error },
    );
  }
  journal?.stays("roles", `the roles ${inQuotes(names)} were made`);
  const logIn = await rolesThatLogIn(client, names);
  const remedy =
    logIn.length === 0
      ? "None of them may log in."
      : `Give a password to each that may log in: ${inQuotes(logIn)}.`;
  report.warn(`made the roles ${inQuotes(names)} without passwords. ${remedy}`);
  return logIn;
}

async function rolesThatLogIn(client: pg.Client, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ rolname: string }>(
    "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND rolcanlogin ORDER BY rolname",
    [names],
  );
  return rows.map(({ rolname }) => rolname);
}

/**
 * As it was granted, then as whoever restores: from PostgreSQL 16 on the grantor must be a role with the admin option, and
 * on another server the one of the backup is not, or is not there.
 */
function membershipStatements({ role, member, options, grantedBy }: Membership): string[] {
  const grant = `GRANT ${identifier(role)} TO ${identifier(member)}`;
  const full = options.length === 0 ? grant : `${grant} WITH ${options.join(", ")}`;
  // Options with a word of their own are known from 16 on.
  const plain = options.includes("ADMIN OPTION") || options.includes("ADMIN TRUE");
  const old = plain ? `${grant} WITH ADMIN OPTION` : grant;
  const by = grantedBy === null ? [] : [`${full} GRANTED BY ${identifier(grantedBy)}`];
  return [...new Set([...by, full, old])];
}

/** Tries one after another, until one has worked. */
async function tryStatements(
  client: pg.Client,
  statements: readonly string[],
  notRestored: NotRestored,
): Promise<void> {
  let failure = "";
  for (const statement of statements) {
    await client.query("SAVEPOINT role_statement");
    try {
      await client.query(statement);
      return;
    } catch (error) {
      await client.query("ROLLBACK TO SAVEPOINT role_statement");
      failure = `${statement} (${messageOf(error)})`;
    }
  }
  notRestored.add(failure);
}

function inQuotes(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
