import type { SshHop } from "../contracts/stackOutputs.ts";

/** A server on the way. */
export interface Hop extends SshHop {
  /** A private key of its own, in the form of the route's. @default that of the route */
  readonly privateKey?: string | undefined;
  readonly proxy?: Hop | undefined;
}

/** A host and the way to it. */
export interface Route {
  readonly host: Hop;
  /** Bastion in front of the host. */
  readonly proxy?: Hop | undefined;
  /** Paths of private keys, for every server on the way. */
  readonly identityFiles?: readonly string[];
  /** A private key itself, in OpenSSH's format and without a passphrase. Then neither files nor agent are tried. */
  readonly privateKey?: string | undefined;
}

/** The host, then the bastions from the one next to it to the first. */
export function hopsOf({ host, proxy }: Route): [Hop, ...Hop[]] {
  const hops: [Hop, ...Hop[]] = [{ ...host, proxy }];
  for (let hop = proxy; hop !== undefined; hop = hop.proxy) hops.push(hop);
  return hops;
}

/** A server in words: `deploy@192.0.2.10:22 (through bastion.example.com)`. */
export function addressOf(route: Route): string {
  const [{ user, host, port }, ...bastions] = hopsOf(route);
  const names = bastions.map((bastion) => bastion.host).toReversed();
  const through = names.length > 0 ? ` (through ${names.join(", ")})` : "";
  return `${user}@${host}:${port}${through}`;
}

/** A server as `ssh` takes it; an IPv6 address needs no brackets there. */
export function loginOf({ user, host }: SshHop): string {
  return `${user}@${host}`;
}
