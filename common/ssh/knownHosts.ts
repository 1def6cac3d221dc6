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
