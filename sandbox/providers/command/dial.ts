import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../resource.ts";
import { type Connection, TARGET, writeConfiguration } from "./connection.ts";

/** Pause before the second try, its growth, and its ceiling, in milliseconds. */
const FIRST_PAUSE = 100;
const GROWTH = 1.5;
const LONGEST_PAUSE = 1000;
/** Pause before ssh is told to end once more, in milliseconds. */
const SIGNAL_AGAIN = 500;

/** An authenticated connection that commands share. */
export interface Dialled {
  /** Arguments of `ssh` up to the command. */
  readonly args: readonly string[];
  close(): Promise<void>;
}

/**
 * Connects with OpenSSH, again and again until `dialErrorLimit` tries have failed. Connecting is one step and running
 * another, so that a command which exits with 255 is not taken for a broken connection, and nothing runs twice.
 */
export async function dial(
  connection: Connection,
  sendEnv: readonly string[],
  log: Context["log"],
): Promise<Dialled> {
  // Short, because the path of a Unix socket may have about a hundred characters.
  const folder = await mkdtemp(join(tmpdir(), "kpb-ssh-"));
  try {
    const config = await writeConfiguration(folder, connection, sendEnv);
    const limit = connection.dialErrorLimit ?? 10;
    for (let failed = 0; ; ) {
      const master = await connect(config, join(folder, "socket"), connection);
      if (typeof master !== "string") {
        return {
          args: ["-F", config, "-S", join(folder, "socket"), "-o", "ControlMaster=no", TARGET],
          close: () => close(master, folder),
        };
      }
      if (limit >= 0 && failed >= limit) {
        throw new Error(`after ${failed} failed attempts: ${master}`);
      }
      failed += 1;
      log("status", `Dial ${failed}/${limit < 0 ? "inf" : limit} failed: retrying`);
      await sleep(Math.min(FIRST_PAUSE * GROWTH ** (failed - 1), LONGEST_PAUSE));
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** One try. Returns the process that holds the connection, or what went wrong. */
async function connect(
  config: string,
  socket: string,
  connection: Connection,
): Promise<ChildProcess | string> {
  // At "INFO", because below it OpenSSH does not say that no type of host key suits both.
  const options = ["-F", config, "-o", "LogLevel=INFO"];
  const child = spawn("ssh", [...options, "-M", "-N", "-S", socket, TARGET], {
    stdio: ["ignore", "ignore", "pipe"],
    // Variables for the remote command are sent by each session, not by this one.
    env: process.env,
  });
  let text = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  let ended = false;
  const closed = once(child, "close").then(() => {
    ended = true;
  });
  // The socket appears when the server has let us in.
  while (!ended) {
    if (await exists(socket)) return child;
    await Promise.race([sleep(20), closed]);
  }
  return explain(text, connection);
}

/** What OpenSSH said, in the words of the real provider's SSH library where it has some. */
function explain(text: string, connection: Connection): string {
  if (/host key verification failed|host key .*changed|no .* host key is known/i.test(text)) {
    return "ssh: handshake failed: ssh: host key mismatch";
  }
  if (/no matching host key type/i.test(text)) {
    return "ssh: handshake failed: ssh: no common algorithm for host key";
  }
  if (/permission denied|too many authentication failures/i.test(text)) {
    return "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain";
  }
  const address = `${connection.host}:${connection.port ?? 22}`;
  if (/connection refused/i.test(text)) return `dial tcp ${address}: connect: connection refused`;
  if (/timed out/i.test(text)) return `dial tcp ${address}: i/o timeout`;
  return `dial tcp ${address}: ${text.trim() || "ssh ended without a word"}`;
}

async function close(master: ChildProcess, folder: string): Promise<void> {
  if (master.exitCode === null && master.signalCode === null) {
    const gone = once(master, "exit");
    master.kill();
    // A signal that comes just before ssh begins to wait is noticed only when something else happens.
    const insisting = setInterval(() => master.kill(), SIGNAL_AGAIN);
    await gone;
    clearInterval(insisting);
  }
  await rm(folder, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
