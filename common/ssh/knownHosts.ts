import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { hopsOf, type Route } from "./route.ts";

/** Type and key of a public key: the key begins with the length of its type, four bytes (RFC 4253, section 6.6). */
export const PUBLIC_KEY =
  /^((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+)[ \t]+(AAAA[A-Za-z0-9+/]*=*)(?:\s|$)/;

/** The only host keys that are accepted, in the format of known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function knownHostsLines(route: Route): string {
  return hopsOf(route)
    .map((hop) => `${knownHostName(hop.host, hop.port)} ${hop.hostKey.trim()}\n`)
    .join("");
}

/** How a server is called there. */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

/**
 * Type and key of each line that a file in the format of known_hosts has for a name; none where the file is not there. Names in it
 * may be hashed, so that ssh-keygen looks.
 */
export function knownKeys(name: string, file: string): string[] {
  if (!existsSync(file)) return [];
  try {
    return keyLines(execFileSync("ssh-keygen", ["-F", name, "-f", file], { encoding: "utf8" }));
  } catch (error) {
    const { status, code } = error as { status?: number; code?: string };
    // Exit code 1 is its way to say "not found"; without it nothing is known.
    if (status === 1 || code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Type and key of each line of known_hosts. A line with a marker is not the key of a server, but of an authority that signs
 * those, or one that must be refused (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
 */
export function keyLines(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, names = "", rest = ""] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    const [, type, key] = PUBLIC_KEY.exec(rest) ?? [];
    return /^[@#]/.test(names) || key === undefined ? [] : [`${type} ${key}`];
  });
}
