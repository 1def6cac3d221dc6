import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { type Lifeline, type Outcome, ProgramKilled, runProgram } from "../process.ts";
import { type Configuration, sshArguments } from "./command.ts";
import { connectionLost, sshProblem } from "./errors.ts";
import { checkPrivateKey, writePrivateKey } from "./keys.ts";
import { knownHostsLines } from "./knownHosts.ts";
import { addressOf, hopsOf, type Route } from "./route.ts";

export interface SshOptions {
  /** Whether the user's own settings of ssh count. Each caller decides, and says why. */
  readonly configuration: Configuration;
  /** Standard input of the command: the only way for a secret, which an argument would show to everyone there. */
  readonly input?: string | Uint8Array;
  /** Keeps standard input open, so that its end tells the command that nobody wants it any more. */
  readonly lifeline?: Lifeline;
  /**
   * Called for each line of standard output.
   * @param reply writes to standard input, which only a lifeline keeps open
   */
  readonly onLine: (line: string, reply: (text: string) => void) => void;
  /** Takes standard output as it comes; then `onLine` is called for the lines of standard error. */
  readonly output?: Writable | undefined;
  /** Sentence for an interruption from the keyboard or by a signal. */
  readonly interrupted: string;
  /** How long the command may take. @default as long as the connection holds */
  readonly minutes?: number;
}

/**
 * Runs a command on a host with the system's own `ssh`. Only the host key of the route is accepted, and nothing is ever
 * asked: a question would hang a job in CI. A private key is in a file of this user alone while `ssh` runs, and never an
 * argument.
 * @param command a line for the remote user's shell, or words, each of which is quoted for it; no secret may be in it
 * @throws KeysRefused when the server lets none of the keys in, so that nothing was run
 * @throws ConnectionLost when it broke while the command was running
 * @throws Problem when the host cannot be reached, is another one than expected, or takes longer
 */
export async function runOnHost(
  route: Route,
  command: string | readonly string[],
  { configuration, input, lifeline, onLine, output, interrupted, minutes }: SshOptions,
): Promise<Outcome> {
  const { identityFiles = [] } = route;
  const given = givenKeys(route);
  for (const [key, setting] of given) checkPrivateKey(key, setting);
  // Of mode 0700.
  const folder = await mkdtemp(join(temporaryFolder(), "kamal-postgres-backup-"));
  try {
    const knownHosts = join(folder, "known_hosts");
    await writeFile(knownHosts, knownHostsLines(route), { mode: 0o600 });
    const privateKeys = new Map<string, string>();
    for (const key of given.keys()) {
      const path = join(folder, `key${privateKeys.size || ""}`);
      await writePrivateKey(path, key);
      privateKeys.set(key, path);
    }
    const log = join(folder, "log");
    const files = { knownHosts, log, privateKeys };
    // With one that does not exist here, ssh would no longer try those of ~/.ssh.
    const tried = { ...route, identityFiles: identityFiles.filter(isHere) };
    const outcome = await runProgram("ssh", sshArguments(tried, files, configuration, command), {
      missing: "ssh is not on PATH. Install the OpenSSH client.",
      interrupted,
      onLine,
      ...(output !== undefined && { output }),
      ...(input !== undefined && { input }),
      ...(lifeline !== undefined && { lifeline }),
      ...(minutes !== undefined && {
        limit: {
          milliseconds: minutes * 60_000,
          exceeded: `${addressOf(route)} was not done after ${minutes} min. Look at the host: it may be overloaded or cut off.`,
        },
      }),
    }).catch((error: unknown) => {
      throw error instanceof ProgramKilled ? connectionLost(route, error.message) : error;
    });
    // The code is ssh's own; a command that ends with it is taken for a broken connection.
    if (outcome.code === 255) {
      const missing = identityFiles.filter((file) => !tried.identityFiles.includes(file));
      // Without the file ssh ended before it could open it, as for an option that it does not take.
      const messages = await readFile(log, "utf8").catch(() => outcome.stderr);
      throw sshProblem(route, messages, missing, outcome.stderr);
    }
    return outcome;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The private keys of the servers on the way, and the argument that gives each. */
function givenKeys(route: Route): ReadonlyMap<string, string> {
  const own = hopsOf(route).flatMap(({ privateKey }) => privateKey ?? []);
  const common = route.privateKey === undefined ? [] : [route.privateKey];
  return new Map([
    ...own.map((key) => [key, "ssh.proxyKeys"] as const),
    ...common.map((key) => [key, "ssh.privateKey"] as const),
  ]);
}

/**
 * ssh replaces `${NAME}` in the paths of keys and known hosts, and no spelling prevents it (ssh_config(5), ENVIRONMENT
 * VARIABLES). Such a folder is not used.
 */
function temporaryFolder(): string {
  return tmpdir().includes("${") ? "/tmp" : tmpdir();
}

/** ssh takes the home of the user database, not $HOME. Whose home ~NAME means, it finds out itself. */
function isHere(file: string): boolean {
  if (file.startsWith("~/")) return existsSync(join(userInfo().homedir, file.slice(2)));
  return file.startsWith("~") || existsSync(file);
}
