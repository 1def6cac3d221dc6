import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { hasPassphrase, isPrivateKey, portablePrivateKey } from "../../common/ssh/keys.ts";
import type { KamalConfig } from "../../kamal/configuration/config.ts";
import type { SshTarget } from "../internal/hostScript.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";
import { hostKeyOf } from "./hostKeys.ts";

export interface SshArgs {
  /** Who logs in. @default `ssh.user` of deploy.yml, else root */
  readonly user?: string;
  /** @default `ssh.port` of deploy.yml, else 22 */
  readonly port?: number;
  /** Bastion in front of the hosts, `[user@]host[:port]`. @default `ssh.proxy` of deploy.yml, else none */
  readonly proxy?: string;
  /**
   * Public key line of each server by host name, `{ "192.0.2.10": "ssh-ed25519 AAAA..." }`.
   * @default what `~/.ssh/known_hosts` says
   */
  readonly hostKeys?: Readonly<Record<string, string>>;
  /**
   * Private key in OpenSSH format, without passphrase.
   * @default the first of `ssh.keys` of deploy.yml, or of the usual ones in `~/.ssh`, that has no passphrase; else the SSH agent
   */
  readonly privateKey?: pulumi.Input<string>;
}

/** How the hosts of the accessory are reached. */
export interface SshAccess {
  readonly hosts: readonly SshHop[];
  readonly proxy?: SshHop;
  /** `ssh.keys` as deploy.yml has it: a `~` is the home of whoever reads it. */
  readonly identityFiles: readonly string[];
  readonly privateKey?: pulumi.Output<string>;
  /** The program was given the key; else it was found in a file of whoever runs it. */
  readonly keyIsGiven: boolean;
}

/**
 * Resolves the SSH access from deploy.yml's `ssh:` block and the host keys that are known.
 * @param name how messages name the arguments below `ssh`
 * @throws Problem when a host's key is not known: without it anyone between could read the secrets
 */
export function resolveSshAccess(
  config: KamalConfig,
  hosts: readonly string[],
  args: SshArgs = {},
  name: SettingName = asArgument,
): SshAccess {
  const { user, port, proxy } = config.ssh;
  const hop = (host: string, hopPort: number, hopUser: string): SshHop => ({
    host,
    port: hopPort,
    user: hopUser,
    hostKey: hostKeyOf(host, hopPort, args.hostKeys?.[host], name("ssh.hostKeys")),
  });
  const identityFiles = config.ssh.keys;
  const here = identityFiles.map((path) => path.replace(/^~(?=\/)/, () => homedir()));
  const key =
    args.privateKey ??
    firstPrivateKey(here.length > 0 ? here : defaultIdentityFiles(), name("ssh.privateKey"));
  return {
    hosts: hosts.map((host) => hop(host, port, user)),
    ...(proxy && { proxy: hop(proxy.host, proxy.port, proxy.user) }),
    identityFiles,
    keyIsGiven: args.privateKey !== undefined,
    ...(key !== undefined && { privateKey: pulumi.secret(key).apply(portablePrivateKey) }),
  };
}

/** The same target in the words of `command.remote.Command`, field by field: an unknown field would be printed with the key. */
export function toCommandConnection({
  host,
  port,
  user,
  hostKey,
  privateKey,
  proxy,
}: SshTarget): types.input.remote.ConnectionArgs {
  const key = privateKey === undefined ? {} : { privateKey };
  return {
    host,
    port,
    user,
    hostKey,
    dialErrorLimit: 3,
    ...key,
    ...(proxy && {
      proxy: {
        host: proxy.host,
        port: proxy.port,
        user: proxy.user,
        hostKey: proxy.hostKey,
        ...key,
      },
    }),
  };
}

/** The same access as a dynamic resource takes it. Secret once there is a private key. */
export function toSshTarget(access: SshAccess, host: SshHop): pulumi.Output<SshTarget> {
  return pulumi.output(access.privateKey).apply((privateKey) => ({
    ...host,
    ...(privateKey !== undefined && { privateKey }),
    ...(access.keyIsGiven && { keyIsGiven: true as const }),
    ...(access.proxy && { proxy: access.proxy }),
  }));
}

/** What Kamal tries where deploy.yml names no keys. */
function defaultIdentityFiles(): string[] {
  return ["id_ed25519", "id_ecdsa", "id_rsa"].map((file) => join(homedir(), ".ssh", file));
}

/**
 * A key with a passphrase is left to the SSH agent, and so is a `.pub` file, which names one of its keys.
 * @returns undefined where the agent has to do
 */
function firstPrivateKey(files: readonly string[], setting: string): string | undefined {
  const reasons: string[] = [];
  for (const path of files) {
    const found = privateKeyIn(path);
    if ("key" in found) return found.key;
    reasons.push(`${path} ${found.reason}`);
  }
  if (process.env["SSH_AUTH_SOCK"] !== undefined) return undefined;
  throw new Problem(
    `ssh.keys of deploy.yml: ${reasons.join(", ")} and no SSH agent runs. Give ${setting} to the program, or start an agent.`,
  );
}

function privateKeyIn(path: string): { key: string } | { reason: string } {
  let key: string;
  try {
    key = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { reason: "does not exist here" };
    return { reason: code === "EISDIR" ? "is a folder" : `cannot be read (${code})` };
  }
  if (!isPrivateKey(key)) return { reason: "is no readable private key" };
  return hasPassphrase(key) ? { reason: "is protected by a passphrase" } : { key };
}
