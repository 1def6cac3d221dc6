import { homedir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { keyLines, knownHostName, knownKeys, PUBLIC_KEY } from "../../common/ssh/knownHosts.ts";

/** Where the key of a host is looked up, by the user's settings of ssh. */
export interface KnownHosts {
  /** The name under which it stands there. @default that of the host, with a port other than 22 */
  readonly alias?: string | undefined;
  /** @default `~/.ssh/known_hosts` */
  readonly files?: readonly string[];
}

/**
 * The public key that a server must show: the given one, else the one in `~/.ssh/known_hosts`.
 * @param setting how messages name the given keys
 * @throws Problem when neither is there, or it is of a type that cannot be checked
 */
export function hostKeyOf(
  host: string,
  port: number,
  given: string | undefined,
  setting: string,
  known: KnownHosts = {},
): string {
  return checkedHostKey(
    host,
    given === undefined
      ? knownHostKey(host, port, setting, known)
      : givenHostKey(host, given, setting),
    setting,
  );
}

/**
 * A value that begins with the key stays byte for byte, since it stands in the states of stacks. One that `ssh-keyscan`
 * printed has the host's name in front, and perhaps several lines.
 */
function givenHostKey(host: string, given: string, setting: string): string {
  if (PUBLIC_KEY.test(given.trim())) return given;
  const line = preferredLine(keyLines(given));
  if (line === undefined) {
    const [first = ""] = given.trim().split("\n");
    const found = /PRIVATE KEY/.test(given)
      ? "a private key"
      : `"${first.length > 40 ? `${first.slice(0, 40)}...` : first}"`;
    throw new Problem(
      `${setting}: the host key of ${host} must be a type and a public key, as in "ssh-ed25519 AAAA...", but ${found} was found. ssh-keyscan -t ed25519 ${host} prints it; compare it with the server's.`,
    );
  }
  return line;
}

function knownHostKey(
  host: string,
  port: number,
  setting: string,
  { alias, files = [] }: KnownHosts,
): string {
  const name = alias ?? knownHostName(host, port);
  const [first = join(homedir(), ".ssh", "known_hosts"), ...others] = files;
  const lines = [first, ...others].flatMap((file) => knownKeys(name, file));
  const line = preferredLine(lines);
  if (line === undefined) {
    throw new Problem(
      `${setting}: the host key of ${name} is not known. Log in once with ssh so that it stands in ${first}, or give it as ${setting} (ssh-keyscan -p ${port} ${host} prints it; compare it with the server's).`,
    );
  }
  return line;
}

function preferredLine(lines: readonly string[]): string | undefined {
  return (
    lines.find((line) => line.startsWith("ssh-ed25519 ")) ??
    lines.find((line) => !line.startsWith("ssh-rsa ")) ??
    lines[0]
  );
}

/** The command provider asks for RSA host keys only with SHA-1 signatures, which servers since OpenSSH 8.8 refuse. */
function checkedHostKey(host: string, hostKey: string, setting: string): string {
  if (hostKey.trim().startsWith("ssh-rsa ")) {
    throw new Problem(
      `${setting}: the host key of ${host} is of type ssh-rsa, which cannot be checked here. Give the server's ssh-ed25519 or ecdsa key (ssh-keyscan -t ed25519 ${host} prints it; compare it with the server's).`,
    );
  }
  return hostKey;
}
