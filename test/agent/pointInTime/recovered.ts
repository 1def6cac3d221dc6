import { execFile, execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { targetTime } from "../../../common/contracts/pointInTime.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { end, findServerPrograms } from "../../support/servers/postgres.ts";

const run = promisify(execFile);

/** A folder for a recovery, which goes with the test. */
export async function recoveryFolder(after: (work: () => Promise<void>) => void): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "recovery-"));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A server that was recovered from what the agent has fetched, reached by the socket in its folder. */
export interface Recovered {
  query(database: string, text: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/**
 * Recovers as the side instance does: settings on the command line, promoted at the target.
 * @param target absent: to the end of the WAL
 * @returns the server, or what it wrote last when it gave up
 */
export async function recover(folder: string, target?: string): Promise<Recovered | string> {
  const programs = await findServerPrograms();
  if (programs === undefined) throw new Error("no PostgreSQL server");
  const as = serverUser();
  const data = join(folder, "data");
  await writeFile(join(data, "recovery.signal"), "");
  if (as !== undefined) await run("chown", ["-R", `${as.uid}:${as.gid}`, folder]);
  const log = join(folder, "log");
  const settings = [
    ...[`restore_command=cp ${folder}/wal/%f %p`, "recovery_target_action=promote", "fsync=off"],
    ...(target === undefined ? [] : [`recovery_target_time=${targetTime(target)}`]),
    ...[`unix_socket_directories=${folder}/socket`, "listen_addresses=", "port=5432"],
    ...[`hba_file=${folder}/pg_hba.conf`, "logging_collector=off"],
  ];
  const command = `exec "$0" "$@" >>${log} 2>&1`;
  const words = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
  const child = spawn("sh", ["-c", command, join(programs.dir, "postgres"), ...words], {
    ...as,
    cwd: folder,
    stdio: "ignore",
  });
  const query = async (database: string, text: string) => {
    const client = new pg.Client({ host: join(folder, "socket"), user: "postgres", database });
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  const ready = await eventually("the recovered server", 120_000, async () => {
    if (child.exitCode !== null) return "ended" as const;
    try {
      const [row] = await query("postgres", "SELECT pg_is_in_recovery() AS busy");
      return row?.["busy"] === false ? ("up" as const) : undefined;
    } catch {
      return undefined;
    }
  });
  if (ready === "ended") return readFile(log, "utf8");
  return { query, stop: () => end(child) };
}

function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}
