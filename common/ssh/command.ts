import type { SshHop } from "../contracts/stackOutputs.ts";
import { knownHostName } from "./knownHosts.ts";
import { type Hop, hopsOf, loginOf, type Route } from "./route.ts";

/**
 * Whose settings `ssh` reads beside its arguments: `user`, those of `~/.ssh/config` and of the machine; `none`, none at
 * all.
 */
export type Configuration = "user" | "none";

/** Files that were written for one run. */
export interface RunFiles {
  readonly knownHosts: string;
  /** Path by the private key that is in it. */
  readonly privateKeys?: ReadonlyMap<string, string>;
  /** Where ssh writes its own messages, so that they are not mixed with those of the command. @default standard error */
  readonly log?: string;
}

/**
 * Arguments of `ssh`. `-J` would not carry the key and the host key to the bastion, so it is a ProxyCommand.
 * @param command a line for the remote user's shell, or words, each of which is quoted for it
 */
export function sshArguments(
  route: Route,
  files: RunFiles,
  configuration: Configuration,
  command: string | readonly string[],
): string[] {
  const [host] = hopsOf(route);
  const argumentsFor = (hop: Hop): string[] => [
    ...hopOptions(hop),
    ...(configuration === "none" ? ["-F", "none"] : []),
    ...(files.log === undefined ? [] : ["-E", files.log]),
    ...options({
      // First, because it counts for what follows. Some options below are newer than the OpenSSH of a supported system,
      // which would refuse them; and as this replaces the user's own IgnoreUnknown, whatever that one names has to pass.
      IgnoreUnknown: "*",
    }),
    ...identityOptions(route, hop, files),
    ...options({
      StrictHostKeyChecking: "yes",
      UserKnownHostsFile: optionPath(files.knownHosts),
      GlobalKnownHostsFile: "/dev/null",
      // Each of these would accept another key, or ask for the key of an address (ssh_config(5)). The first is of 8.5.
      KnownHostsCommand: "none",
      VerifyHostKeyDNS: "no",
      CheckHostIP: "no",
      // The user's own settings must not replace the command, nor its input, nor leave it in the background. All but the
      // first are of 8.7.
      RemoteCommand: "none",
      SessionType: "default",
      StdinNull: "no",
      ForkAfterAuthentication: "no",
      BatchMode: "yes",
      ConnectTimeout: "15",
      // A peer that is gone without a word is noticed after a minute.
      ServerAliveInterval: "15",
      ServerAliveCountMax: "4",
      // Standard error is searched for the reason, so that no LogLevel of the user's, and no banner, may change it.
      LogLevel: "ERROR",
    }),
    ...(hop.proxy ? options({ ProxyCommand: proxyCommand(hop.proxy, argumentsFor) }) : []),
  ];
  return [
    ...argumentsFor(host),
    "-T",
    loginOf(host),
    "--",
    ...(typeof command === "string" ? [command] : command.map(shellQuote)),
  ];
}

/**
 * A path as the value of an option that takes a list of files: a blank would divide it, and % would be expanded
 * (ssh_config(5), TOKENS).
 */
export function optionPath(path: string): string {
  const escaped = path.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%");
  return `"${escaped}"`;
}

/** One word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function identityOptions(
  { identityFiles = [], privateKey: common }: Route,
  { privateKey: key = common }: Hop,
  { privateKeys }: RunFiles,
): string[] {
  const privateKey = key && privateKeys?.get(key);
  // Not -i: it looks for the path as it is, and later expands % in it (OpenSSH 9.2), so that no spelling is right.
  const files = privateKey === undefined ? identityFiles : [privateKey];
  return [
    ...files.flatMap((file) => options({ IdentityFile: optionPath(file) })),
    // An agent with many keys would use up the server's tries before the given one.
    ...(privateKey === undefined ? [] : options({ IdentitiesOnly: "yes" })),
  ];
}

function proxyCommand(proxy: Hop, argumentsFor: (hop: Hop) => readonly string[]): string {
  const words = ["ssh", ...argumentsFor(proxy), loginOf(proxy)];
  return (
    words
      // ssh expands % in a ProxyCommand, once for each bastion; only the last two are meant.
      .map((word) => shellQuote(word).replaceAll("%", "%%"))
      // With brackets, without which the port of an IPv6 address could not be told.
      .concat("-W", "'[%h]:%p'")
      .join(" ")
  );
}

/**
 * With the name that the line in known_hosts has: by itself ssh looks for the address as the system spells it (`127.0.0.1`
 * for `127.1`), or for the user's own HostKeyAlias.
 */
function hopOptions({ host, port }: SshHop): string[] {
  return ["-p", String(port), ...options({ HostKeyAlias: knownHostName(host, port) })];
}

function options(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}
