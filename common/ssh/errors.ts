import type { SshHop } from "../contracts/stackOutputs.ts";
import { Problem } from "../problem.ts";
import { knownHostName } from "./knownHosts.ts";
import { addressOf, loginOf, type Route } from "./route.ts";

/** The server let none of the keys in, so nothing was run. */
export class KeysRefused extends Problem {}

/** What `ssh` adds below the reason when the way through a bastion failed. */
const AFTERMATH = /UNKNOWN port 65535|^stdio forwarding failed|^kex_exchange_identification:/;

/**
 * What ssh's exit code 255 means, in a sentence for the reader of `pulumi up` and of the command line alike.
 * @param stderr with LogLevel ERROR
 * @param missing those of the identity files that this machine does not have
 */
export function sshProblem(route: Route, stderr: string, missing: readonly string[] = []): Problem {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const where = `ssh ${addressOf(route)}`;
  const server = isOfProxy(route, lines) ? `the bastion ${route.proxy?.host}` : "the server";
  if (
    /host key verification failed|host identification has changed|host key is known/i.test(stderr)
  ) {
    return new Problem(
      `${where}: the host key of ${server} is not the expected one. If it was rebuilt, correct its key in ssh.hostKeys of the program, or in ~/.ssh/known_hosts where it was taken from there, and run pulumi up; if not, someone may be between you and it.`,
    );
  }
  // With its bracket: what was run there may be denied something, too.
  if (
    /permission denied \(|too many authentication failures|no supported authentication/i.test(
      stderr,
    )
  ) {
    return new KeysRefused(
      `${where}: ${server} refused the keys (${keysOf(route, missing)}). Check ssh.user of deploy.yml. Add your key with ssh-add, put its path into ssh.keys of deploy.yml, or give it to the program as ssh.privateKey (pulumi config set --secret sshPrivateKey), and run pulumi up.`,
    );
  }
  const reason =
    lines.findLast((line) => !AFTERMATH.test(line)) ??
    // The reason itself is of a lower level.
    (lines.includes("stdio forwarding failed")
      ? `${route.proxy?.host} cannot connect to it`
      : lines[0]);
  if (reason !== undefined && isLoss(reason)) {
    return new Problem(
      `${where}: the connection was lost (${reason}). What was started there may still be running: look before you try again, with docker ps on the host or kamal-postgres-backup list.`,
    );
  }
  return new Problem(
    `${where}: the host cannot be reached (${reason ?? "no reason given"}). Check the address, ssh.port of deploy.yml, the network and the server. If the way to it was changed in deploy.yml or the program, run pulumi up --refresh=false once.`,
  );
}

/** Of a connection that was there. One that broke off before the keys were exchanged has run nothing. */
function isLoss(reason: string): boolean {
  return (
    /closed by remote host|connection reset|broken pipe|not responding/i.test(reason) &&
    !AFTERMATH.test(reason)
  );
}

/** Whether ssh names the bastion: `jump@bastion: Permission denied`, `host key for [bastion]:2200 has changed`. */
function isOfProxy({ proxy, host }: Route, lines: readonly string[]): boolean {
  if (proxy === undefined) return false;
  const named = (hop: SshHop) => [
    `${loginOf(hop)}: permission`,
    `for ${knownHostName(hop.host, hop.port)} `,
  ];
  const names = named(proxy).filter((name) => !named(host).includes(name));
  const text = lines.join("\n").toLowerCase();
  return names.some((name) => text.includes(name.toLowerCase()));
}

function keysOf({ privateKey, identityFiles = [] }: Route, missing: readonly string[]): string {
  if (privateKey !== undefined) return "the one that the program was given";
  const files = identityFiles.map((file) =>
    missing.includes(file) ? `${file}, which does not exist here` : file,
  );
  // Where a file is given, ssh does not try those of ~/.ssh.
  const others =
    missing.length < identityFiles.length
      ? "those of the SSH agent"
      : "those of the SSH agent and of ~/.ssh";
  return [...files, others].join("; ");
}
