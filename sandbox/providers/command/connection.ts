import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import type { types } from "@pulumi/command";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { optionPath } from "../../../common/ssh/command.ts";
import { hasPassphrase, writePrivateKey } from "../../../common/ssh/keys.ts";

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
    // Seconds; 0 means no limit of ours, as in the real provider; then the system's limit holds.
    `  ConnectTimeout ${hop.perDialTimeout || "none"}`,
    ...(await identityLines(folder, alias, hop)),
    ...(await hostKeyLines(folder, alias, hop)),
  ];
  return lines;
}

async function identityLines(folder: string, alias: string, hop: Hop): Promise<string[]> {
  const agent = hop.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  if (agent !== undefined) await refuseDeadAgent(agent);
  const lines = [`  IdentityAgent ${agent ? quoted(agent) : "none"}`];
  if (hop.privateKey === undefined) return [...lines, "  IdentityFile none"];
  if (hasPassphrase(hop.privateKey)) {
    // OpenSSH would go on to the agent; the real provider does not.
    throw new Error("ssh: this private key is passphrase protected");
  }
  const path = join(folder, `${alias}.key`);
  await writePrivateKey(path, hop.privateKey);
  return [
    ...lines,
    `  IdentityFile ${optionPath(path)}`,
    ...(agent ? [] : ["  IdentitiesOnly yes"]),
  ];
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
  return [
    "  StrictHostKeyChecking yes",
    `  UserKnownHostsFile ${optionPath(path)}`,
    // An RSA key by its old signature only, which servers since OpenSSH 8.8 refuse: so does the real provider ask.
    `  HostKeyAlgorithms ${type}`,
  ];
}

/** OpenSSH passes over an agent that is not there; the real provider fails. */
async function refuseDeadAgent(path: string): Promise<void> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    throw new Error(`dial unix ${path}: ${(error as Error).message}`);
  } finally {
    socket.destroy();
  }
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
