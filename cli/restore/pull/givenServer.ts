import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { BackupOutputs, SshHop } from "../../../common/contracts/stackOutputs.ts";
import { Problem } from "../../../common/problem.ts";
import { askLine } from "../../terminal/askLine.ts";
import type { Screen } from "../../terminal/screen.ts";
import { dumpInto, MISSING_PSQL, psqlProblem, runLocalPsql } from "./handOver.ts";
import { runSql } from "./localServer.ts";
import { ROW_COUNTS, requireEqualRows } from "./rowCounts.ts";
import type { Staged } from "./staging.ts";

/** A server that somebody else runs, and a database that it does not have yet. */
export interface GivenServer {
  /** Address of its database `postgres`, without the password. */
  readonly maintenance: URL;
  readonly database: string;
  /** Name or address; empty: a socket. */
  readonly host: string;
  /** Holds the password, for psql. */
  env: Readonly<Record<string, string>>;
}

const NO_PROMPT = ["--no-psqlrc", "--quiet", "--no-password", "--set", "ON_ERROR_STOP=1"];
const PLAIN = ["--tuples-only", "--no-align"];

/** @throws Problem when it is no address of a database; never repeats a password */
export function parseGiven(text: string): GivenServer {
  let address: URL;
  try {
    address = new URL(text);
  } catch {
    throw new Problem(
      "--to is no address of a database. Write postgres://USER@HOST:5432/DATABASE.",
    );
  }
  const database = decodeURIComponent(address.pathname.slice(1));
  if (!/^postgres(?:ql)?:$/.test(address.protocol) || database === "" || database.includes("/")) {
    throw new Problem(
      "--to is no address of a database. Write postgres://USER@HOST:5432/DATABASE.",
    );
  }
  const password = decodeURIComponent(address.password);
  address.password = "";
  address.pathname = "/postgres";
  const host = address.hostname || (address.searchParams.get("host") ?? "");
  return {
    ...{ maintenance: address, database, host },
    env: password === "" ? {} : { PGPASSWORD: password },
  };
}

/**
 * Makes sure that it is not the server that was backed up, and that the database is a new one. The name of a host says little,
 * since a tunnel has any: so the server itself is asked for its system identifier, which no other one has.
 * @param systemIdentifier of the server that was backed up; null: not known
 * @throws Problem
 */
export async function requireNew(
  screen: Screen,
  given: GivenServer,
  backup: BackupOutputs,
  systemIdentifier: string | null,
): Promise<void> {
  await requireOtherHost(given, backup);
  const asked =
    "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), datname FROM pg_catalog.pg_database";
  const rows = await ask(screen, given, asked);
  const [identifier] = rows[0]?.split("|") ?? [];
  if (systemIdentifier !== null && identifier === systemIdentifier) {
    throw new Problem(
      `--to leads to the very server that was backed up (system identifier ${identifier}). Name another one.`,
    );
  }
  if (!rows.some((row) => row.slice(row.indexOf("|") + 1) === given.database)) return;
  throw new Problem(
    `--to: the database ${given.database} exists already, and a pull makes a new one. Drop it first, or give another name.`,
  );
}

/** Servers of the backup: its hosts, the bastion in front of them, and the container. This machine may be any of them. */
async function requireOtherHost({ host }: GivenServer, backup: BackupOutputs): Promise<void> {
  if (host === "" || host.startsWith("/")) return;
  const own = [...backup.hosts, ...bastions(backup.proxy)].map((hop) => hop.host);
  const addresses = await addressesOf(host);
  if (addresses.length > 0 && addresses.every(isLoopback)) return;
  for (const name of [...own, backup.container]) {
    const same = name === host || (await addressesOf(name)).some((one) => addresses.includes(one));
    if (!same) continue;
    throw new Problem(
      `--to leads to ${name}, which belongs to the backup's own stack. A pull never writes there: restore does, or clone into another stack.`,
    );
  }
}

function bastions(hop: SshHop | undefined): SshHop[] {
  return hop === undefined ? [] : [hop, ...bastions(hop.proxy)];
}

/** Empty: the name is not known here. */
async function addressesOf(name: string): Promise<string[]> {
  if (isIP(name) !== 0) return [name];
  const found = await lookup(name, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** Asks, and lets the operator type the password where the server wants one that was not given. */
async function ask(screen: Screen, given: GivenServer, sql: string): Promise<string[]> {
  const args = [...NO_PROMPT, ...PLAIN, "--dbname", given.maintenance.href];
  let { code, stderr, found } = await runLocalPsql(args, given.env, sql);
  if (code !== 0 && /no password supplied/.test(stderr) && screen.terminal.input.isTTY) {
    screen.clear();
    const password = await askLine(screen, `Password for ${given.host}: `, {
      interrupted: "interrupted; nothing was changed.",
      ended: "no password was typed; nothing was changed.",
      hidden: true,
    });
    given.env = { PGPASSWORD: password };
    ({ code, stderr, found } = await runLocalPsql(args, given.env, sql));
  }
  if (code !== 0) throw psqlProblem("--to: the server cannot be asked", stderr);
  return found;
}

/**
 * Fills a new database of the server. It has another name until every row is there.
 * @throws Problem when not all of it arrives; then no database is left
 */
export async function fillGiven(
  screen: Screen,
  staged: Staged,
  given: GivenServer,
  encoding: string | undefined,
): Promise<void> {
  const { maintenance, database, env } = given;
  const unfinished = `${database.slice(0, 48)}_unfinished`;
  const address = new URL(maintenance);
  address.pathname = `/${encodeURIComponent(unfinished)}`;
  const inEncoding = encoding === undefined ? "" : ` ENCODING '${encoding}'`;
  await ask(screen, given, `CREATE DATABASE ${quoted(unfinished)} TEMPLATE template0${inEncoding}`);
  try {
    await dumpInto(
      screen,
      staged,
      {
        ...{ program: "psql", args: [...NO_PROMPT, "--dbname", address.href], env },
        missing: MISSING_PSQL,
      },
      { words: ["--no-owner", "--no-privileges", "--no-publications"] },
    );
    screen.waiting("comparing");
    const args = [...NO_PROMPT, ...PLAIN, "--dbname", address.href];
    const copied = await runLocalPsql(args, env, ROW_COUNTS);
    if (copied.code !== 0) throw psqlProblem("the rows could not be counted", copied.stderr);
    const { server: container, superuser: user } = staged;
    const source = { container, user, database: staged.database };
    requireEqualRows(await runSql(source, ROW_COUNTS), copied.found);
    await ask(screen, given, `ALTER DATABASE ${quoted(unfinished)} RENAME TO ${quoted(database)}`);
  } catch (error) {
    await ask(screen, given, `DROP DATABASE IF EXISTS ${quoted(unfinished)}`).catch(() =>
      screen.warn(`The unfinished database ${unfinished} could not be dropped. Drop it by hand.`),
    );
    throw error;
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
