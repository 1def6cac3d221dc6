import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chown, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { cacheDir } from "../../../sandbox/world/paths.ts";
import { makeDataFolder } from "./dataFolder.ts";
import { freePort } from "./freePort.ts";

/** A running PostgreSQL of the test's own, on loopback, with one superuser. */
export interface TestPostgres {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly major: number;
  /** Kills the server at once and removes its data. May be called twice. */
  stop(): Promise<void>;
  /**
   * Ends the server and starts it again.
   * @param signal `SIGINT`: cuts its connections and closes its files; `SIGQUIT`: as a crash does
   * @param meanwhile gets the folder of its data
   */
  restart(signal: "SIGINT" | "SIGQUIT", meanwhile?: (data: string) => Promise<void>): Promise<void>;
}

const LIBRARY = "/usr/lib/postgresql";
const READY_DEADLINE_MS = 120_000;
const PASSWORD = "test-password-of-postgres";
const execute = promisify(execFile);

/** Folder with the server programs of the newest major installed; undefined when there is none. */
export async function findServerPrograms(): Promise<{ dir: string; major: number } | undefined> {
  const majors = await readdir(LIBRARY).catch((): string[] => []);
  for (const name of majors.toSorted((a, b) => Number(b) - Number(a))) {
    const dir = join(LIBRARY, name, "bin");
    const programs = await readdir(dir).catch((): string[] => []);
    if (programs.includes("initdb") && programs.includes("postgres")) {
      return { dir, major: Number(name) };
    }
  }
  return undefined;
}

/** What a cluster is made of. */
export interface Cluster {
  /** The superuser that `initdb` makes. @default postgres */
  readonly user?: string;
  /** Clusters of one name are copies with one system identifier, as a server and itself; those of another are another server. @default "" */
  readonly name?: string;
  /** Settings of the server, `max_prepared_transactions=5`. @default [] */
  readonly settings?: readonly string[];
  /** Files of extensions that only this server has, by name: `bound.control`. @default {} */
  readonly extensions?: Readonly<Record<string, string>>;
  /** Encoding and locale of its own databases. @default UTF8 and C.UTF-8 */
  readonly text?: { readonly encoding: string; readonly locale: string };
}

const TEXT = { encoding: "UTF8", locale: "C.UTF-8" };

/**
 * Starts a new cluster in a temporary folder.
 * @throws Error when no server programs are installed, or it does not answer within 2 minutes
 */
export async function startPostgres({
  user = "postgres",
  name = "",
  settings: more = [],
  extensions = {},
  text = TEXT,
}: Cluster = {}): Promise<TestPostgres> {
  const found = await findServerPrograms();
  if (found === undefined) throw new Error(`no PostgreSQL server under ${LIBRARY}`);
  const as = serverUser();
  const template = await ensureTemplate(found, as, { user, name, text });
  const dir = await mkdtemp(join(tmpdir(), "test-postgres-"));
  if (as !== undefined) await chown(dir, as.uid, as.gid);
  const folder = await makeDataFolder(as);
  const data = join(folder, "data");
  await execute("cp", ["-a", template, data]);
  const port = await freePort();
  const settings = [
    ...["fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1"],
    ...more,
  ];
  const program = await programWith(extensions, found, dir);
  const launch = () =>
    spawn(
      program,
      ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
      { ...as, cwd: dir, stdio: "ignore" },
    );
  let child = launch();
  const stop = async () => {
    await end(child);
    for (const path of [dir, folder]) await rm(path, { recursive: true, force: true });
  };
  const server: TestPostgres = {
    host: "127.0.0.1",
    port,
    user,
    password: PASSWORD,
    major: found.major,
    stop,
    restart: async (signal, meanwhile) => {
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
      await meanwhile?.(data);
      child = launch();
      await ready(server, child);
    },
  };
  try {
    await ready(server, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return server;
}

/**
 * The server's program, beside which these files lie as extensions. It looks for them where it lies itself: a copy finds its
 * own (make_relative_path of PostgreSQL's path.c).
 */
async function programWith(
  extensions: Readonly<Record<string, string>>,
  { dir: programs, major }: { readonly dir: string; readonly major: number },
  folder: string,
): Promise<string> {
  const program = join(programs, "postgres");
  const files = Object.entries(extensions);
  if (files.length === 0) return program;
  const root = join(folder, "usr");
  const own = join(root, "lib/postgresql", String(major));
  const share = join(root, "share/postgresql");
  await mkdir(join(own, "bin"), { recursive: true });
  await mkdir(share, { recursive: true });
  await execute("cp", [program, join(own, "bin")]);
  await execute("ln", ["-s", join(LIBRARY, String(major), "lib"), join(own, "lib")]);
  await execute("cp", ["-a", join("/usr/share/postgresql", String(major)), share]);
  for (const [name, text] of files) {
    await writeFile(join(share, String(major), "extension", name), text);
  }
  return join(own, "bin/postgres");
}

/**
 * A cluster that was never started, made once for each version of the programs and copied: `initdb` takes longer than all the rest.
 * All copies of one name and superuser have the same system identifier.
 */
async function ensureTemplate(
  found: { readonly dir: string },
  as: { uid: number; gid: number } | undefined,
  { user, name, text }: Required<Pick<Cluster, "user" | "name" | "text">>,
): Promise<string> {
  const { stdout } = await execute(join(found.dir, "postgres"), ["--version"]);
  const version = /[\d.]+/.exec(stdout)?.[0] ?? "";
  const kind =
    user === "postgres" && name === "" ? "" : `-${user}-${name}-${text.encoding}-${text.locale}`;
  const template = join(cacheDir, `test-postgres-${version}-${as?.uid ?? "own"}${kind}`);
  if (existsSync(template)) return template;
  const dir = await mkdtemp(join(tmpdir(), "test-postgres-template-"));
  try {
    const passwordFile = join(dir, "password");
    await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
    if (as !== undefined) {
      for (const path of [dir, passwordFile]) await chown(path, as.uid, as.gid);
    }
    const data = join(dir, "data");
    await execute(
      join(found.dir, "initdb"),
      ["-D", data, "-U", user, "-A", "scram-sha-256", "-E", text.encoding].concat(
        `--pwfile=${passwordFile}`,
        [`--locale=${text.locale}`, "--no-sync"],
      ),
      { ...as, cwd: dir },
    );
    // Complete or absent; another process may have been faster.
    await mkdir(cacheDir, { recursive: true });
    const made = `${template}.${process.pid}`;
    await execute("cp", ["-a", data, made]);
    await rename(made, template).catch(() => rm(made, { recursive: true }));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return template;
}

/** Runs statements in one database of the server. */
export async function query(
  server: TestPostgres,
  database: string,
  ...statements: string[]
): Promise<Record<string, unknown>[]> {
  const { host, port, user, password } = server;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

/** PostgreSQL refuses to run as root; its package brings a user of its own. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Waits until the server answers. */
export async function ready(server: TestPostgres, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  for (;;) {
    try {
      await query(server, "postgres", "SELECT 1");
      return;
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`postgres exited with ${child.exitCode}`);
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** SIGQUIT is PostgreSQL's immediate shutdown: its own processes go with it. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGQUIT");
  await gone;
}
