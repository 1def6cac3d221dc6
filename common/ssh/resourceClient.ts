import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { SshHop } from "../contracts/stackOutputs.ts";
import type { Problem } from "../problem.ts";
import { said } from "../withoutStack.ts";

/** A host and how to reach it, as plain values in a dynamic resource's inputs. */
export interface SshTarget extends SshHop {
  /** OpenSSH private key; absent: the SSH agent. */
  readonly privateKey?: string;
  readonly proxy?: SshHop;
}

export interface RemoteResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a shell script on the host with the system's OpenSSH.
 * @param script handed to `sh` on the host; no secret may be in it
 * @param stdin what the script reads; secrets go here
 * @param minutes how long it may take
 * @throws Problem when the host cannot be reached, is another one than expected, refuses the key, or takes longer
 */
export async function runRemote(
  target: SshTarget,
  script: string,
  stdin: string | Uint8Array = "",
  minutes = 5,
): Promise<RemoteResult> {
  const scratch = await mkdtemp(join(tmpdir(), "kamal-postgres-backup-"));
  try {
    const child = spawn("ssh", [...(await sshOptions(target, scratch)), script], {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: minutes * 60_000,
    });
    const done = new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    child.stdin.on("error", () => {
      // The script may end without reading; its exit code tells.
    });
    child.stdin.end(stdin);
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      done,
    ]);
    if (child.killed) {
      throw said(
        `${target.user}@${target.host}:${target.port} was not done after ${minutes} min. Look at the host: it may be overloaded or cut off.`,
      );
    }
    if (code === null || code === 255) throw unreachable(target, stderr);
    return { code, stdout, stderr };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function sshOptions(target: SshTarget, scratch: string): Promise<string[]> {
  const knownHosts = join(scratch, "known_hosts");
  const hops = target.proxy ? [target, target.proxy] : [target];
  await writeFile(knownHosts, hops.map((hop) => `${hostPattern(hop)} ${hop.hostKey}\n`).join(""));
  const common = [
    ...["-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"],
    ...["-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${knownHosts}`],
    ...["-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"],
  ];
  if (target.privateKey !== undefined) {
    const key = join(scratch, "key");
    await writeFile(key, target.privateKey, { mode: 0o600 });
    common.push("-i", key, "-o", "IdentitiesOnly=yes");
  }
  const proxy = target.proxy;
  if (proxy) {
    const words = [
      "ssh",
      ...common,
      "-p",
      String(proxy.port),
      "-W",
      "%h:%p",
      `${proxy.user}@${proxy.host}`,
    ];
    common.push("-o", `ProxyCommand=${words.join(" ")}`);
  }
  return [...common, "-p", String(target.port), `${target.user}@${target.host}`];
}

function hostPattern(hop: SshHop): string {
  return hop.port === 22 ? hop.host : `[${hop.host}]:${hop.port}`;
}

function unreachable(target: SshTarget, stderr: string): Problem {
  const address = `${target.user}@${target.host}:${target.port}`;
  if (/host key|HOST IDENTIFICATION/i.test(stderr)) {
    return said(
      `the host key of ${address} is not the expected one. Either the server was rebuilt or someone stands between: compare its key, then correct ssh.hostKeys.`,
    );
  }
  if (/permission denied/i.test(stderr)) {
    return said(
      `${address} refused the SSH key. Check ssh.user and ssh.keys of deploy.yml, or give ssh.privateKey.`,
    );
  }
  const reason = stderr.trim().split("\n").at(-1) ?? "no answer";
  return said(
    `${address} cannot be reached over SSH (${reason}). Check that the host is up and ssh.port is right. If the way to it was changed in the program, run pulumi up --refresh=false once.`,
  );
}
