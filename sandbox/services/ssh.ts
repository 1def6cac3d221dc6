import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { optionPath } from "../../common/ssh/command.ts";
import { dockerEnvironment } from "../host/docker.ts";
import { findProgram, logTail, processesWith, stopProcesses } from "../host/processes.ts";
import { stateDir } from "../world/paths.ts";
import { eventually, run } from "../world/run.ts";
import { freePort, type Settings, saveSettings } from "../world/settings.ts";
import type { World } from "../world/world.ts";

const dir = join(stateDir, "ssh");
const configFile = join(dir, "sshd_config");
/** On the command line of our server alone. */
const mark = ` -f ${configFile} `;
const logFile = join(dir, "sshd.log");
const hostKeyFile = join(dir, "host_ed25519");
const userKeyFile = join(dir, "user_ed25519");
const home = join(stateDir, "home");
/** The operator's own HOME in this world: holds the known host, so that nobody's `~/.ssh` is touched. */
export const operatorHome = join(stateDir, "operator");

/** An OpenSSH server on loopback with throw-away keys, as the host that Kamal deploys to. */
export async function ensureSsh(settings: Settings): Promise<World["ssh"]> {
  if ((await processesWith(mark)).length === 0) {
    settings.sshPort = await freePort(settings.sshPort);
    saveSettings(settings);
    await makeKeys();
    await writeFiles(settings.sshPort);
    // As root it wants this folder for its unprivileged half; the system's own service would make it, too.
    if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    await run(await findProgram("sshd"), ["-f", configFile, "-E", logFile]);
  }
  const world = {
    host: "127.0.0.1",
    port: settings.sshPort,
    user: userInfo().username,
    keyFile: userKeyFile,
    hostKey: publicKey(hostKeyFile),
    home,
  };
  const knownHost = `[${world.host}]:${world.port} ${world.hostKey}\n`;
  mkdirSync(join(operatorHome, ".ssh"), { recursive: true, mode: 0o700 });
  writeFileSync(join(operatorHome, ".ssh", "known_hosts"), knownHost, { mode: 0o600 });
  await eventually(`The SSH server (${logTail(logFile)})`, 10_000, () => tryCommand(world));
  return world;
}

/** @returns how many servers were stopped */
export async function stopSsh(): Promise<number> {
  return stopProcesses(mark);
}

/** True when sshd runs and lets the sandbox's key in. */
export async function sshAnswers(world: World["ssh"]): Promise<boolean> {
  return (await tryCommand(world).catch(() => undefined)) ?? false;
}

async function tryCommand(world: World["ssh"]): Promise<true | undefined> {
  const result = await run(
    "ssh",
    [
      ...["-F", "none", "-i", world.keyFile, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
      ...["-o", `UserKnownHostsFile=${optionPath(join(operatorHome, ".ssh", "known_hosts"))}`],
      ...["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5", "-p", String(world.port)],
      `${world.user}@${world.host}`,
      "pwd",
    ],
    { allowFailure: true, timeoutMs: 10_000 },
  );
  if (result.code !== 0) throw new Problem(result.stderr.trim());
  return result.stdout.trim() === world.home ? true : undefined;
}

async function makeKeys(): Promise<void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  mkdirSync(home, { recursive: true, mode: 0o755 });
  for (const file of [hostKeyFile, userKeyFile]) {
    if (existsSync(file)) continue;
    const comment = "kamal-postgres-backup-sandbox";
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]);
  }
  writeFileSync(join(dir, "authorized_keys"), readFileSync(`${userKeyFile}.pub`), { mode: 0o600 });
}

function publicKey(file: string): string {
  return readFileSync(`${file}.pub`, "utf8").split(" ").slice(0, 2).join(" ");
}

async function writeFiles(port: number): Promise<void> {
  const wrapper = join(dir, "command");
  writeFileSync(wrapper, await commandWrapper(home));
  chmodSync(wrapper, 0o700);
  writeFileSync(configFile, sshdConfig({ port, dir, wrapper, sftp: sftpServer() }), {
    mode: 0o600,
  });
}

/** The server's whole configuration: one key, one user, every command inside the sandbox's home. */
export function sshdConfig(at: {
  readonly port: number;
  readonly dir: string;
  readonly wrapper: string;
  readonly sftp: string | undefined;
}): string {
  return [
    "ListenAddress 127.0.0.1",
    `Port ${at.port}`,
    `HostKey "${at.dir}/host_ed25519"`,
    `AuthorizedKeysFile "${at.dir}/authorized_keys"`,
    "PidFile none",
    "AuthenticationMethods publickey",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no", // a checkout may lie in a folder that a group can write
    "PrintMotd no",
    "MaxStartups 100",
    // The key exchange that OpenSSH prefers since 9.0 costs the client 65 ms of a processor at each connection.
    "KexAlgorithms -sntrup*",
    ...(at.sftp === undefined ? [] : [`Subsystem sftp ${at.sftp}`]),
    `ForceCommand "${at.wrapper}"`,
    "",
  ].join("\n");
}

/** scp of OpenSSH 9 speaks SFTP; as a program of its own the server passes through the wrapper like any command. */
function sftpServer(): string | undefined {
  return [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
  ].find((file) => existsSync(file));
}

/** Runs what the client asked for with a folder of the sandbox as home, so that no file lands in the user's own. */
export async function commandWrapper(home: string): Promise<string> {
  const { DOCKER_HOST } = await dockerEnvironment();
  return `#!/bin/sh
cd '${home}' || exit 1
export HOME='${home}' PATH='${process.env["PATH"]}' DOCKER_HOST='${DOCKER_HOST}'
[ -n "$SSH_ORIGINAL_COMMAND" ] || exec "\${SHELL:-/bin/sh}"
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
`;
}
