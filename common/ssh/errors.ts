import type { SshHop } from "../contracts/stackOutputs.ts";
import { Problem } from "../problem.ts";
import { knownHostName } from "./knownHosts.ts";
import { addressOf, type Hop, hopsOf, loginOf, type Route } from "./route.ts";

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

/** A refresh looks at each host first, by the way in the state. */
const ONWARD =
  "To go on with what does not need it, or by another way in deploy.yml or the program, run pulumi up --refresh=false.";

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
  const bastion = refusingBastion(route, lines);
  const server = bastion === undefined ? "the server" : `the bastion ${bastion.host}`;
  const last = lines.findLast((line) => !AFTERMATH.test(line));
  if (last !== undefined && HOST_KEY_FAILURE.test(last)) {
    return new AccessRefused(
      `${where}: the host key of ${server} is not the expected one. If it was rebuilt, correct its key in ssh.hostKeys of the program, or in ~/.ssh/known_hosts where it was taken from there, and run pulumi up; if not, someone may be between you and it.`,
    );
  }
  if ((last !== undefined && REFUSAL.test(last)) || lines.some((l) => SERVER_REFUSAL.test(l))) {
    const remedy =
      bastion === undefined
        ? "Check ssh.user of deploy.yml. Add your key with ssh-add, put its path into ssh.keys of deploy.yml, or give it to the program as ssh.privateKey (pulumi config set --secret sshPrivateKey), and run pulumi up."
        : `Check its user in ssh.proxy of deploy.yml. Add your key with ssh-add, or, where it takes another key than the host, give that to the program as ssh.proxyKeys (pulumi config set --secret --path 'sshProxyKeys["${bastion.host}"]'), and run pulumi up.`;
    return new KeysRefused(
      `${where}: ${server} refused the keys (${keysOf(route, bastion, missing)}). ${remedy}`,
    );
  }
  const reason =
    last ??
    // The reason itself is of a lower level.
    (lines.includes("stdio forwarding failed")
      ? unconnected(route)
      : (linesOf(stderr).at(-1) ?? lines[0]));
  if (reason !== undefined && isLoss(reason, lines)) {
    return connectionLost(route, reason);
  }
  const silent = hopsOf(route)
    .slice(1)
    .find((hop) => isSilent(hop, reason));
  if (silent !== undefined) {
    return new Problem(
      `${where}: the bastion ${silent.host} cannot be reached (${reason}). Check ssh.proxy of deploy.yml, the network and that server. ${ONWARD}`,
    );
  }
  return new Problem(
    `${where}: the host cannot be reached (${reason ?? "no reason given"}). Check the address, ssh.port of deploy.yml, the network and the server. ${ONWARD}`,
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

/** The bastion that ssh names: `jump@bastion: Permission denied`, `host key for [bastion]:2200 has changed`. */
function refusingBastion(route: Route, lines: readonly string[]): Hop | undefined {
  const text = lines.join("\n").toLowerCase();
  const namesOf = (hop: SshHop) => [
    `${loginOf(hop)}: permission`.toLowerCase(),
    `for ${knownHostName(hop.host, hop.port)} `.toLowerCase(),
  ];
  const [host, ...bastions] = hopsOf(route);
  return bastions.find((bastion) =>
    namesOf(bastion).some((name) => !namesOf(host).includes(name) && text.includes(name)),
  );
}

/** Whether ssh could not connect to this very server. */
function isSilent({ host, port }: Hop, reason = ""): boolean {
  return (
    reason.startsWith(`ssh: connect to host ${host} port ${port}:`) ||
    reason.startsWith(`ssh: Could not resolve hostname ${host.toLowerCase()}:`)
  );
}

/** Which of several bastions it was, ssh does not say. */
function unconnected(route: Route): string {
  const [, bastion, ...others] = hopsOf(route);
  return others.length > 0
    ? "one of the bastions cannot connect to the next server"
    : `${bastion?.host} cannot connect to it`;
}

function keysOf(
  { privateKey: common, identityFiles = [] }: Route,
  bastion: Hop | undefined,
  missing: readonly string[],
): string {
  if ((bastion?.privateKey ?? common) !== undefined) return "the one that the program was given";
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
