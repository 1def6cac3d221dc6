import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SshHop } from "../contracts/stackOutputs.ts";
import { Problem } from "../problem.ts";
import { lastLine, type Outcome, runProgram } from "./process.ts";

/** A host and the way to it. */
export interface Route {
  readonly host: SshHop;
  /** Bastion in front of the host. */
  readonly proxy?: SshHop | undefined;
  readonly identityFiles: readonly string[];
}

const stillRunning =
  'What was started in the container may still be running; look with "list" before you try again.';

/**
 * Runs a command on a host with the system's own `ssh`. Only the host key of the outputs is accepted, and nothing is
 * ever asked: a question would hang a job in CI.
 * @param words the command; each is quoted for the remote shell
 * @param onLine called for each line of standard output
 * @param input standard input of the command: the only way for a secret, which an argument would show to everyone there
 * @throws Problem when the connection could not be made or was lost
 */
export async function runOnHost(
  route: Route,
  words: readonly string[],
  onLine: (line: string) => void,
  input?: string,
): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "kamal-postgres-backup-"));
  try {
    const knownHosts = join(folder, "known_hosts");
    await writeFile(knownHosts, knownHostsLines(route), { mode: 0o600 });
    const outcome = await runProgram("ssh", sshArguments(route, knownHosts, words), {
      missing: "ssh is not on PATH. Install the OpenSSH client.",
      interrupted: `interrupted. ${stillRunning}`,
      onLine,
      ...(input !== undefined && { input }),
    });
    if (outcome.code === 255) throw sshProblem(route, outcome.stderr);
    return outcome;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Arguments of `ssh`. `-J` would not carry the key and host key to the bastion, so it is a ProxyCommand. */
export function sshArguments(route: Route, knownHosts: string, words: readonly string[]): string[] {
  const options = (hop: SshHop) => [
    ...["-p", String(hop.port)],
    ...route.identityFiles.flatMap((file) => ["-i", file]),
    ...["-o", "StrictHostKeyChecking=yes"],
    // A list of files for ssh: a blank would divide it, and % would be expanded.
    ...["-o", `UserKnownHostsFile="${knownHosts.replaceAll("%", "%%")}"`],
    ...["-o", "GlobalKnownHostsFile=/dev/null"],
    ...["-o", "BatchMode=yes"],
    ...["-o", "ConnectTimeout=15"],
    ...["-o", "ServerAliveInterval=15"],
    ...["-o", "ServerAliveCountMax=4"],
  ];
  const login = (hop: SshHop) => `${hop.user}@${hop.host}`;
  const proxyCommand =
    route.proxy &&
    ["ssh", ...options(route.proxy)]
      .concat(login(route.proxy))
      // ssh expands % in a ProxyCommand; only the last two are meant.
      .map((word) => shellQuote(word).replaceAll("%", "%%"))
      .concat("-W", "'[%h]:%p'")
      .join(" ");
  return [
    ...options(route.host),
    ...(proxyCommand === undefined ? [] : ["-o", `ProxyCommand=${proxyCommand}`]),
    "-T",
    login(route.host),
    "--",
    ...words.map(shellQuote),
  ];
}

/** The only host keys that are accepted, in the format of known_hosts. */
export function knownHostsLines(route: Route): string {
  return [route.host, ...(route.proxy ? [route.proxy] : [])]
    .map((hop) => `${hop.port === 22 ? hop.host : `[${hop.host}]:${hop.port}`} ${hop.hostKey}\n`)
    .join("");
}

/** One word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What ssh's exit code 255 means, in a sentence. */
export function sshProblem(route: Route, stderr: string): Problem {
  const { host, proxy } = route;
  const where = `${host.user}@${host.host}:${host.port}${proxy ? ` (through ${proxy.host})` : ""}`;
  const last = lastLine(stderr);
  if (
    /host key verification failed|host identification has changed|host key is known/i.test(stderr)
  ) {
    return new Problem(
      `ssh ${where}: the server's host key is not the one in the stack's outputs. If the server was rebuilt, give its new key in ssh.hostKeys and run pulumi up; if not, someone may be between you and it.`,
    );
  }
  if (
    /permission denied|too many authentication failures|no supported authentication/i.test(stderr)
  ) {
    const keys =
      route.identityFiles.length > 0 ? route.identityFiles.join(", ") : "the SSH agent's";
    return new Problem(
      `ssh ${where}: the server refused the keys (${keys}). Add your key with ssh-add, or put its path into ssh.keys of deploy.yml and run pulumi up.`,
    );
  }
  if (/closed by remote host|connection reset|broken pipe|not responding/i.test(stderr)) {
    return new Problem(`ssh ${where}: the connection was lost (${last}). ${stillRunning}`);
  }
  return new Problem(
    `ssh ${where}: the host cannot be reached (${last || "no reason given"}). Check the address, the network and the server.`,
  );
}
