import type { SshHop } from "../contracts/stackOutputs.ts";
import { Problem } from "../problem.ts";
import { knownHostName } from "./knownHosts.ts";
import { addressOf, loginOf, type Route } from "./route.ts";

/** The server answers, and nothing was run: its host key is another one, or it let none of the keys in. */
export class AccessRefused extends Problem {}

/** The server let none of the keys in. */
export class KeysRefused extends AccessRefused {}

/** The connection was there and broke, so that what was started on the host may still be running. */
export class ConnectionLost extends Problem {}

/** What `ssh` adds below the reason when the way through a bastion failed. */
const AFTERMATH = /UNKNOWN port 65535|^stdio forwarding failed|^kex_exchange_identification:/;

/** Its last message for a host key that is not the given one. */
const HOST_KEY_FAILURE =
  /^Host key verification failed\.$|^No \S+ host key is known for \S+ and you have requested strict checking\.$/;

/** Its last message for keys that were refused: with the login, as `sshconnect2.c` of OpenSSH writes it. */
const REFUSAL = /^\S+@\S+: Permission denied \(/;

/** The server's own word for it, which ssh reports before it ends. */
const SERVER_REFUSAL =
  /^(Received disconnect|Disconnected)\b.*(too many authentication failures|no supported authentication)/i;

/** @param reason in ssh's words, or what has become of ssh */
export function connectionLost(route: Route, reason: string): ConnectionLost {
  return new ConnectionLost(
    `ssh ${addressOf(route)}: the connection was lost (${reason}). What was started there may still be running: look before you try again, with docker ps on the host or kamal-postgres-backup list.`,
  );
}

/**
 * What ssh's exit code 255 means, in a sentence for the reader of `pulumi up` and of the command line alike. A command on
 * the host may end with the same code, and write the same words: they count only in ssh's own messages.
 * @param messages those of ssh itself, with LogLevel ERROR
 * @param missing those of the identity files that this machine does not have
 * @param stderr of ssh and of what it ran, for a reason that its own messages lack
 */
export function sshProblem(
  route: Route,
  messages: string,
  missing: readonly string[] = [],
  stderr = "",
): Problem {
  const lines = linesOf(messages);
  const where = `ssh ${addressOf(route)}`;
  const server = isOfProxy(route, lines) ? `the bastion ${route.proxy?.host}` : "the server";
  const last = lines.findLast((line) => !AFTERMATH.test(line));
  if (last !== undefined && HOST_KEY_FAILURE.test(last)) {
    return new AccessRefused(
      `${where}: the host key of ${server} is not the expected one. If it was rebuilt, correct its key in ssh.hostKeys of the program, or in ~/.ssh/known_hosts where it was taken from there, and run pulumi up; if not, someone may be between you and it.`,
    );
  }
  if ((last !== undefined && REFUSAL.test(last)) || lines.some((l) => SERVER_REFUSAL.test(l))) {
    return new KeysRefused(
      `${where}: ${server} refused the keys (${keysOf(route, missing)}). Check ssh.user of deploy.yml. Add your key with ssh-add, put its path into ssh.keys of deploy.yml, or give it to the program as ssh.privateKey (pulumi config set --secret sshPrivateKey), and run pulumi up.`,
    );
  }
  const reason =
    last ??
    // The reason itself is of a lower level.
    (lines.includes("stdio forwarding failed")
      ? `${route.proxy?.host} cannot connect to it`
      : (linesOf(stderr).at(-1) ?? lines[0]));
  if (reason !== undefined && isLoss(reason, lines)) {
    return connectionLost(route, reason);
  }
  return new Problem(
    `${where}: the host cannot be reached (${reason ?? "no reason given"}). Check the address, ssh.port of deploy.yml, the network and the server. If the way to it was changed in deploy.yml or the program, run pulumi up --refresh=false once.`,
  );
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/** Of a connection that was there. One that broke off before the keys were exchanged has run nothing. */
function isLoss(reason: string, lines: readonly string[]): boolean {
  return (
    /closed by remote host|connection reset|broken pipe|not responding/i.test(reason) &&
    !lines.some((line) => line.startsWith("kex_exchange_identification:"))
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
