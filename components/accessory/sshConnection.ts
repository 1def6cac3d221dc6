import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { hasPassphrase } from "../../common/ssh/keys.ts";
import { knownHostName } from "../../common/ssh/knownHosts.ts";
import type { KamalConfig } from "../../kamal/config.ts";
import type { SshTarget } from "../internal/hostScript.ts";

export interface SshArgs {
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
  /** Files in `ssh.keys` of deploy.yml. */
  readonly identityFiles: readonly string[];
  readonly privateKey?: pulumi.Output<string>;
}

/**
 * Settles the SSH access from deploy.yml's `ssh:` block and the host keys that are known.
 * @throws Problem when a host's key is not known: without it anyone between could read the secrets
 */
export function settleSshAccess(
  config: KamalConfig,
  hosts: readonly string[],
  args: SshArgs = {},
): SshAccess {
  const { user, port, proxy } = config.ssh;
  const hop = (host: string, hopPort: number, hopUser: string): SshHop => ({
    host,
    port: hopPort,
    user: hopUser,
    hostKey: checkedHostKey(host, args.hostKeys?.[host] ?? knownHostKey(host, hopPort)),
  });
  const identityFiles = config.ssh.keys.map((path) => path.replace(/^~(?=\/)/, homedir()));
  const key =
    args.privateKey ??
    firstPrivateKey(identityFiles.length > 0 ? identityFiles : defaultIdentityFiles());
  return {
    hosts: hosts.map((host) => hop(host, port, user)),
    ...(proxy && { proxy: hop(proxy.host, proxy.port, proxy.user) }),
    identityFiles,
    ...(key !== undefined && { privateKey: pulumi.secret(key) }),
  };
}

/** The same access in the words of `command.remote.Command`, field by field: an unknown field would be printed with the key. */
export function toCommandConnection(
  access: SshAccess,
  host: SshHop,
): types.input.remote.ConnectionArgs {
  const key = access.privateKey ? { privateKey: access.privateKey } : {};
  return {
    host: host.host,
    port: host.port,
    user: host.user,
    hostKey: host.hostKey,
    dialErrorLimit: 3,
    ...key,
    ...(access.proxy && {
      proxy: {
        host: access.proxy.host,
        port: access.proxy.port,
        user: access.proxy.user,
        hostKey: access.proxy.hostKey,
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
    ...(access.proxy && { proxy: access.proxy }),
  }));
}

function knownHostKey(host: string, port: number): string {
  const name = knownHostName(host, port);
  const file = join(homedir(), ".ssh", "known_hosts");
  const lines = existsSync(file) ? lookUp(name, file) : [];
  const line =
    lines.find((l) => l.includes(" ssh-ed25519 ")) ??
    lines.find((l) => !l.includes(" ssh-rsa ")) ??
    lines[0];
  if (line === undefined) {
    throw new Problem(
      `ssh.hostKeys: the host key of ${name} is not known. Log in once with ssh so that it stands in ${file}, or give it as ssh.hostKeys (ssh-keyscan -p ${port} ${host} prints it; compare it with the server's).`,
    );
  }
  return line.split(" ").slice(1, 3).join(" ");
}

/** ssh-keygen rather than reading the file: its names may be hashed. */
function lookUp(name: string, file: string): string[] {
  try {
    const out = execFileSync("ssh-keygen", ["-F", name, "-f", file], { encoding: "utf8" });
    return out.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  } catch (error) {
    // Exit code 1 is its way to say "not found".
    if ((error as { status?: number }).status === 1) return [];
    throw error;
  }
}

/** The command provider asks for RSA host keys only with SHA-1 signatures, which servers since OpenSSH 8.8 refuse. */
function checkedHostKey(host: string, hostKey: string): string {
  if (hostKey.trim().startsWith("ssh-rsa ")) {
    throw new Problem(
      `ssh.hostKeys: the host key of ${host} is of type ssh-rsa, which cannot be checked here. Give the server's ssh-ed25519 or ecdsa key (ssh-keyscan -t ed25519 ${host} prints it; compare it with the server's).`,
    );
  }
  return hostKey;
}

/** What Kamal tries where deploy.yml names no keys. */
function defaultIdentityFiles(): string[] {
  return ["id_ed25519", "id_ecdsa", "id_rsa"].map((file) => join(homedir(), ".ssh", file));
}

/** A key with a passphrase is left to the SSH agent; undefined where the agent has to do. */
function firstPrivateKey(files: readonly string[]): string | undefined {
  const keys = files.filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"));
  const key = keys.find((text) => !hasPassphrase(text));
  if (key === undefined && process.env["SSH_AUTH_SOCK"] === undefined) {
    const reason = keys.length > 0 ? "is protected by a passphrase" : "does not exist here";
    throw new Problem(
      `ssh.keys of deploy.yml: ${files.join(", ")} ${reason} and no SSH agent runs. Give ssh.privateKey to the program, or start an agent.`,
    );
  }
  return key;
}
