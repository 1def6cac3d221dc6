import type { SshHop } from "../contracts/stackOutputs.ts";

/** A host and the way to it. */
export interface Route {
  readonly host: SshHop;
  /** Bastion in front of the host; it is given the same keys. */
  readonly proxy?: SshHop | undefined;
  /** Paths of private keys. */
  readonly identityFiles?: readonly string[];
  /** A private key itself, in OpenSSH's format and without a passphrase. Then neither files nor agent are tried. */
  readonly privateKey?: string | undefined;
}

/** A server in words: `deploy@192.0.2.10:22 (through bastion.example.com)`. */
export function addressOf({ host, proxy }: Route): string {
  const through = proxy ? ` (through ${proxy.host})` : "";
  return `${host.user}@${host.host}:${host.port}${through}`;
}

/** A server as `ssh` takes it; an IPv6 address needs no brackets there. */
export function loginOf({ user, host }: SshHop): string {
  return `${user}@${host}`;
}
