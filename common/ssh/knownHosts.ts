import { spawnSync } from "node:child_process";
import { hopsOf, type Route } from "./route.ts";

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

/** Whether a file has a key for that name. Names in it may be hashed, so that ssh-keygen looks. */
export function isKnownHost(name: string, file: string): boolean {
  return spawnSync("ssh-keygen", ["-F", name, "-f", file], { stdio: "ignore" }).status === 0;
}
