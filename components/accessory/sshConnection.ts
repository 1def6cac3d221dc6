import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { hasPassphrase, isPrivateKey, portablePrivateKey } from "../../common/ssh/keys.ts";
import { type Jump, readProxyJump } from "../../common/ssh/proxyJump.ts";
import { type ConfigFiles, type HostSettings, hostSettings } from "../../common/ssh/userConfig.ts";
import type { KamalConfig } from "../../kamal/configuration/config.ts";
import { rootOf } from "../../kamal/kamalCommand.ts";
import type { BastionTarget, SshTarget } from "../pulumi/hostScript.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";
import { hostKeyOf } from "./hostKeys.ts";
import type { KamalProject } from "./kamalProject.ts";

export interface SshArgs {
  /** Who logs in. @default `ssh.user` of deploy.yml, else what OpenSSH's settings say of the host, else root */
  readonly user?: string;
  /** @default `ssh.port` of deploy.yml, else what OpenSSH's settings say of the host, else 22 */
  readonly port?: number;
  /**
   * Bastion in front of the hosts, `[user@]host[:port]`, with root as its user where none is given; several with commas between
   * them, in the order in which they are passed.
   * @default `ssh.proxy` of deploy.yml, else OpenSSH's ProxyJump
   * @example "jump@bastion.example.com:2200"
   */
  readonly proxy?: string;
  /**
   * Private key of each bastion that takes another one than the hosts, by its name, in the form of `privateKey`.
   * @default the first file that OpenSSH's settings name for the bastion and that has no passphrase, else the key of the hosts
   * @example { "bastion.example.com": config.requireSecret("bastionKey") }
   */
  readonly proxyKeys?: pulumi.Input<Readonly<Record<string, pulumi.Input<string>>>>;
  /**
   * Public key line of each server by host name, `{ "192.0.2.10": "ssh-ed25519 AAAA..." }`.
   * @default what `~/.ssh/known_hosts` says
   */
  readonly hostKeys?: Readonly<Record<string, string>>;
  /**
   * Private key in OpenSSH format, without passphrase.
   * @default the first of `ssh.key_data` of deploy.yml; else of `ssh.keys` there, of those that OpenSSH's settings name for the
   * host, or of the usual ones in `~/.ssh`, that has no passphrase; else the SSH agent
   */
  readonly privateKey?: pulumi.Input<string>;
}

/** A host as OpenSSH reaches it, and as deploy.yml calls it. */
export interface AccessHost extends SshHop {
  /** Its name in deploy.yml. @default `host` */
  readonly alias?: string;
}

/** What Kamal calls the host. */
export function kamalNameOf({ alias, host }: AccessHost): string {
  return alias ?? host;
}

/** A bastion, and those in front of it. */
export interface AccessBastion extends AccessHost {
  readonly proxy?: AccessBastion | undefined;
  /** Its own key in a file of whoever runs the program. Secret. */
  readonly ownKey?: pulumi.Output<string>;
}

/** How the hosts of the accessory are reached. */
export interface SshAccess {
  readonly hosts: readonly AccessHost[];
  /** The bastion next to them. */
  readonly proxy?: AccessBastion;
  /** Private keys of bastions by their names, as the program gives them. Secret. */
  readonly proxyKeys?: pulumi.Output<Record<string, string>>;
  /**
   * Files in `ssh.keys` of deploy.yml, else those that the user's settings of ssh name for the hosts; a `~` is the home of
   * whoever reads it.
   */
  readonly identityFiles: readonly string[];
  readonly privateKey?: pulumi.Output<string>;
  /** The program or deploy.yml has the key; else it was found in a file of whoever runs it. */
  readonly keyIsGiven: boolean;
}

/** What tells the way to the hosts. */
export interface SshOptions {
  readonly project: Pick<KamalProject, "config" | "secret">;
  /** As deploy.yml names them. */
  readonly hosts: readonly string[];
  readonly args?: SshArgs | undefined;
  /** How messages name the arguments. @default by their paths */
  readonly name?: SettingName;
}

/**
 * Resolves the SSH access from deploy.yml's `ssh:` block, OpenSSH's own settings and the host keys that are known.
 * @throws Problem when a host's key is not known: without it anyone between could read the secrets
 */
export function resolveSshAccess(
  { project, hosts: names, args = {}, name = asArgument }: SshOptions,
  log: Pick<ResourceLog, "warn">,
): SshAccess {
  const { ssh } = project.config;
  const files = configFiles(project.config);
  const settings = names.map((host) => hostSettings(host, files));
  const hop = (
    host: string,
    found: HostSettings,
    user: string,
    port: number = found.port ?? 22,
  ): AccessHost => ({
    alias: host,
    host: found.hostName,
    port,
    user,
    hostKey: hostKeyOf(
      found.hostName,
      port,
      args.hostKeys?.[host] ?? args.hostKeys?.[found.hostName],
      name("ssh.hostKeys"),
      { alias: found.hostKeyAlias, files: found.knownHostsFiles },
    ),
  });
  const hosts = names.map((host, index) => {
    const found = settings[index] as HostSettings;
    return hop(host, found, ssh.user ?? found.user ?? "root", ssh.port);
  });
  const follow = { files, setting: name("ssh.proxy"), log };
  const jumps =
    givenJumps(args.proxy, follow.setting) ??
    (ssh.proxies.length > 0 ? ssh.proxies : jumpsBefore(names[0] ?? "", settings[0], follow));
  const ofHosts = settings.flatMap((s) => s.identityFiles);
  const ofBastions: string[] = [];
  let proxy: AccessBastion | undefined;
  for (const jump of withOwnJumps(jumps, follow)) {
    const found = hostSettings(jump.host, files);
    ofBastions.push(...found.identityFiles);
    proxy = {
      ...hop(jump.host, found, jump.user ?? found.loginName, jump.port),
      ...ownKeyOf(found),
      ...(proxy && { proxy }),
    };
  }

  const identityFiles =
    ssh.keys.length > 0 ? ssh.keys : [...new Set([...ofHosts, ...ofBastions].map(belowHome))];
  const given = args.privateKey ?? keyDataOf(project, name("ssh.privateKey"));
  const key =
    given ??
    firstPrivateKey(
      ssh.keys.length + ofHosts.length > 0
        ? identityFiles.map(expandHome)
        : [...defaultIdentityFiles(), ...ofBastions],
      name("ssh.privateKey"),
    );
  if (key === undefined && ssh.keysOnly) {
    log.warn(
      `ssh.keys_only of deploy.yml is not followed with an SSH agent, all of whose keys are offered. Give ${name("ssh.privateKey")} to the program if the server ends the connection.`,
    );
  }
  return {
    hosts,
    ...(proxy && { proxy }),
    ...(args.proxyKeys !== undefined && {
      proxyKeys: pulumi.secret(
        pulumi.output(args.proxyKeys) as pulumi.Output<Record<string, string>>,
      ),
    }),
    identityFiles,
    keyIsGiven: given !== undefined,
    ...(key !== undefined && { privateKey: pulumi.secret(key).apply(portablePrivateKey) }),
  };
}

/** The hop alone with those in front of it, as it stands in states and outputs. */
export function hopOf({ host, port, user, hostKey, proxy }: SshHop): SshHop {
  return { host, port, user, hostKey, ...(proxy && { proxy: hopOf(proxy) }) };
}

/** Kamal's relative paths begin where it is run. */
function configFiles({ path, ssh }: KamalConfig): ConfigFiles {
  const { config } = ssh;
  if (typeof config === "string") return config;
  return config.map((file) => resolve(rootOf(path), expandHome(file)));
}

/** What is needed to follow OpenSSH's settings from one bastion to the next. */
interface Follow {
  readonly files: ConfigFiles;
  /** How messages name the bastion's argument. */
  readonly setting: string;
  readonly log: Pick<ResourceLog, "warn">;
}

function givenJumps(text: string | undefined, setting: string): readonly Jump[] | undefined {
  if (text === undefined) return undefined;
  const jumps = readProxyJump(text);
  if (jumps === undefined) {
    throw new Problem(
      `${setting} "${text}" is not [user@]host[:port], nor several of them with commas between them. Write it so.`,
    );
  }
  return jumps.map((jump) => ({ user: "root", ...jump }));
}

/** The bastions that OpenSSH's settings put in front of a server, without those in front of them. */
function jumpsBefore(
  host: string,
  settings: HostSettings | undefined,
  { setting, log }: Follow,
): readonly Jump[] {
  if (settings?.proxyCommand !== undefined) {
    log.warn(
      `the configuration of ssh reaches ${host} by a ProxyCommand, which is not followed here. Give ${setting} to the program unless the host can be reached without.`,
    );
  }
  const text = settings?.proxyJump;
  if (text === undefined) return [];
  const jumps = readProxyJump(text);
  if (jumps === undefined) {
    throw new Problem(
      `the configuration of ssh reaches ${host} through ${text}, which is not [user@]host[:port]. Give ${setting} to the program.`,
    );
  }
  return jumps;
}

/** OpenSSH looks up the way to the first bastion too, wherever that one was named, and goes straight from each to the next. */
function withOwnJumps(jumps: readonly Jump[], follow: Follow): readonly Jump[] {
  const [first] = jumps;
  if (first === undefined) return [];
  if (jumps.length > MOST_BASTIONS) {
    const names = jumps.map(({ host }) => host).join(", ");
    throw new Problem(
      `the configuration of ssh goes through more than ${MOST_BASTIONS} bastions (${names}), perhaps in a circle. Correct its ProxyJump, or give ${follow.setting} to the program.`,
    );
  }
  const before = jumpsBefore(first.host, hostSettings(first.host, follow.files), follow);
  return before.length === 0 ? jumps : withOwnJumps([...before, ...jumps], follow);
}

const MOST_BASTIONS = 8;

/** A bastion's own key: the first that OpenSSH's settings name for it and that can be read here. */
function ownKeyOf({ identityFiles }: HostSettings): Pick<AccessBastion, "ownKey"> {
  for (const file of identityFiles) {
    const found = privateKeyIn(file);
    if ("key" in found) return { ownKey: pulumi.secret(found.key) };
  }
  return {};
}

/**
 * The first of `ssh.key_data`: the name of a secret, or, as Kamal still takes it, the key itself (2.11,
 * lib/kamal/configuration/ssh.rb).
 */
function keyDataOf({ config, secret }: SshOptions["project"], setting: string): string | undefined {
  const [entry] = config.ssh.keyData;
  if (entry === undefined || isPrivateKey(entry)) return entry;
  return secret(entry, setting);
}

/**
 * The same target in the words of `command.remote.Command`, field by field: an unknown field would be printed with the key. Of
 * several bastions the plugin can take the last alone.
 */
export function toCommandConnection({
  host,
  port,
  user,
  hostKey,
  privateKey,
  proxy,
}: SshTarget): types.input.remote.ConnectionArgs {
  const withKey = (key: string | undefined) => (key === undefined ? {} : { privateKey: key });
  return {
    host,
    port,
    user,
    hostKey,
    dialErrorLimit: 3,
    ...withKey(privateKey),
    ...(proxy && {
      proxy: {
        host: proxy.host,
        port: proxy.port,
        user: proxy.user,
        hostKey: proxy.hostKey,
        ...withKey(proxy.privateKey ?? privateKey),
      },
    }),
  };
}

/** The same access as a dynamic resource takes it. Secret once there is a private key. */
export function toSshTarget(access: SshAccess, host: SshHop): pulumi.Output<SshTarget> {
  return pulumi
    .all([access.privateKey, access.proxy, access.proxyKeys])
    .apply(([privateKey, proxy, proxyKeys = {}]) => ({
      ...hopOf(host),
      ...(privateKey !== undefined && { privateKey }),
      ...(access.keyIsGiven && { keyIsGiven: true as const }),
      ...(proxy && { proxy: bastionTarget(proxy, proxyKeys) }),
    }));
}

function bastionTarget(
  { alias, ownKey, proxy, ...hop }: pulumi.Unwrap<AccessBastion>,
  proxyKeys: Readonly<Record<string, string>>,
): BastionTarget {
  const given = proxyKeys[alias ?? hop.host] ?? proxyKeys[hop.host];
  const key = given ?? ownKey;
  return {
    ...hop,
    ...(key !== undefined && { privateKey: portablePrivateKey(key) }),
    ...(given !== undefined && { keyIsGiven: true as const }),
    ...(proxy && { proxy: bastionTarget(proxy, proxyKeys) }),
  };
}

function expandHome(path: string): string {
  return path.replace(/^~(?=\/)/, () => homedir());
}

function belowHome(path: string): string {
  return path.startsWith(`${homedir()}/`) ? `~${path.slice(homedir().length)}` : path;
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
