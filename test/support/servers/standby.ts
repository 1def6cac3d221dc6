import { execFile, spawn } from "node:child_process";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeDataFolder } from "./dataFolder.ts";
import { freePort } from "./freePort.ts";
import { end, findServerPrograms, query, ready, type TestPostgres } from "./postgres.ts";

/**
 * Starts a hot standby of a server, with its data in a folder of its own.
 * @param settings of the standby, as `max_standby_streaming_delay=0`
 */
export async function startStandby(
  primary: TestPostgres,
  ...settings: string[]
): Promise<TestPostgres> {
  const found = await findServerPrograms();
  if (found === undefined) throw new Error("no PostgreSQL server programs are installed");
  const [row] = await query(primary, "postgres", "SHOW data_directory");
  const { uid, gid } = await stat(String(row?.["data_directory"]));
  const as = process.getuid?.() === 0 ? { uid, gid } : {};
  const dir = await makeDataFolder({ uid, gid });
  const data = join(dir, "data");
  const { host, user, password } = primary;
  await promisify(execFile)(
    join(found.dir, "pg_basebackup"),
    ["-D", data, "-h", host, "-p", String(primary.port), "-U", user, "-R", "-X", "stream"].concat(
      "--checkpoint=fast",
      "--no-sync",
    ),
    { ...as, cwd: dir, env: { ...process.env, PGPASSWORD: password } },
  );
  const port = await freePort();
  const all = ["fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", ...settings];
  const child = spawn(
    join(found.dir, "postgres"),
    ["-D", data, "-p", String(port), ...all.flatMap((setting) => ["-c", setting])],
    { ...as, cwd: dir, stdio: "ignore" },
  );
  const standby: TestPostgres = {
    ...primary,
    port,
    stop: async () => {
      await end(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
  try {
    await ready(standby, child);
    return standby;
  } catch (error) {
    await standby.stop();
    throw error;
  }
}
