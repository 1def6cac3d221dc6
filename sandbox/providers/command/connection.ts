import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { types } from "@pulumi/command";
import type { UnwrappedObject } from "@pulumi/pulumi";

export type Connection = UnwrappedObject<types.input.remote.ConnectionArgs>;
type Hop = UnwrappedObject<types.input.remote.ProxyConnectionArgs>;

/** Names of the two hosts in the configuration file that `ssh` is given. */
export const TARGET = "target";
const PROXY = "proxy";

/**
 * Writes the OpenSSH configuration of a connection into a folder of its own (mode 0700), with keys and expected host keys
 * beside it, so that neither the user's configuration nor the process list takes part.
 * @param sendEnv names of variables of the `ssh` process that the server is asked to take
 * @returns path of the configuration file
 */
export async function writeConfiguration(
  folder: string,
  connection: Connection,
  sendEnv: readonly string[],
): Promise<string> {
  const lines = await hostLines(folder, TARGET, connection);
  if (connection.proxy) lines.push(`  ProxyJump ${PROXY}`);
  if (sendEnv.length > 0) lines.push(`  SendEnv ${sendEnv.join(" ")}`);
  if (connection.proxy) lines.push(...(await hostLines(folder, PROXY, connection.proxy)));
  const path = join(folder, "config");
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

async function hostLines(folder: string, alias: string, hop: Hop): Promise<string[]> {
  const lines = [
    `Host ${alias}`,
    `  HostName ${hop.host}`,
    `  Port ${hop.port ?? 22}`,
    `  User ${quoted(hop.user ?? "root")}`,
    `  HostKeyAlias ${alias}`,
    "  BatchMode yes",
    "  LogLevel ERROR",
    "  GlobalKnownHostsFile /dev/null",
    "  UpdateHostKeys no",
    "  PreferredAuthentications publickey",
    // 0 means no limit of ours, as in the real provider; then the system's limit holds.
    `  ConnectTimeout ${hop.perDialTimeout || "none"}`,
    ...(await identityLines(folder, alias, hop)),
    ...(await hostKeyLines(folder, alias, hop)),
  ];
  return lines;
}

async function identityLines(folder: string, alias: string, hop: Hop): Promise<string[]> {
  const agent = hop.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  const lines = [`  IdentityAgent ${agent ? quoted(agent) : "none"}`];
  if (hop.privateKey === undefined) return [...lines, "  IdentityFile none"];
  const path = join(folder, `${alias}.key`);
  // OpenSSH refuses a key without its last line end, or with those of Windows.
  await writeFile(path, `${hop.privateKey.replaceAll("\r\n", "\n").trimEnd()}\n`, { mode: 0o600 });
  await chmod(path, 0o600);
  return [...lines, `  IdentityFile ${quoted(path)}`, ...(agent ? [] : ["  IdentitiesOnly yes"])];
}

async function hostKeyLines(folder: string, alias: string, hop: Hop): Promise<string[]> {
  if (hop.hostKey === undefined) {
    // The real provider then trusts any host.
    return ["  StrictHostKeyChecking no", "  UserKnownHostsFile /dev/null"];
  }
  const [type = "", key = ""] = hop.hostKey.trim().split(/\s+/);
  if (!/^(ssh-|ecdsa-|sk-)/.test(type) || key === "") {
    throw new Error("failed to parse host key: ssh: no key found");
  }
  const path = join(folder, `${alias}.known`);
  await writeFile(path, `${alias} ${type} ${key}\n`);
  const algorithms = type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256,ssh-rsa" : type;
  return [
    "  StrictHostKeyChecking yes",
    `  UserKnownHostsFile ${quoted(path)}`,
    `  HostKeyAlgorithms ${algorithms}`,
  ];
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
