import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./freePort.ts";
import { within } from "./namespaces.ts";

const execute = promisify(execFile);
const PROGRAM = "/usr/sbin/sshd";
const START_LIMIT_MS = 60_000;

/** A throw-away OpenSSH server that lets one user in with one key. */
export interface TestSshd {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The private key that is let in, as text. */
  readonly privateKey: string;
  /** The same key in its file, of mode 0600. */
  readonly keyFile: string;
  /** The server's public key, as a line `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
  /** The private half of it. */
  readonly hostPrivateKey: string;
  /** What the server wrote so far: one line a login. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Whether this machine has an OpenSSH server to start. */
export async function hasSshd(): Promise<boolean> {
  return access(PROGRAM).then(
    () => true,
    () => false,
  );
}

export interface SshdOptions {
  /** Variables that the server takes from its clients. @default none */
  readonly acceptEnv?: readonly string[];
  /** Where it listens. @default 127.0.0.1 */
  readonly address?: string;
  /** Program that is run in place of whatever is asked for. */
  readonly command?: string;
  /** The key to let in, as that of another server's. @default a new one */
  readonly privateKey?: string;
  /** The server's own key, as that of an earlier one. @default a new one */
  readonly hostPrivateKey?: string;
  /** Network namespace in which it listens, with a port: every one is free there. @default this machine's own */
  readonly namespace?: string;
  /** @default a free one */
  readonly port?: number;
  /** Who is let in; another than the user of the test takes root. @default the user of the test */
  readonly user?: string;
}

/** @throws Error with the server's log when it does not listen within a minute */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  const { address = "127.0.0.1", namespace, user = userInfo().username } = options;
  const dir = await mkdtemp(join(tmpdir(), "kpb-sshd-"));
  await keyIn(join(dir, "host"), options.hostPrivateKey);
  await keyIn(join(dir, "user"), options.privateKey);
  // The server reads what lets a user in as that user.
  await chmod(dir, 0o711);
  const port = options.port ?? (await freePort(address));
  await writeFile(
    join(dir, "config"),
    [
      `ListenAddress ${address}`,
      `Port ${port}`,
      `HostKey ${join(dir, "host")}`,
      `AuthorizedKeysFile ${join(dir, "user.pub")}`,
      "PidFile none",
      "UsePAM no",
      "StrictModes no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      "AllowTcpForwarding yes",
      "LogLevel VERBOSE",
      // As in the sandbox: what newer ones prefer costs the client 65 ms of a processor.
      "KexAlgorithms -sntrup*",
      ...(options.command === undefined ? [] : [`ForceCommand "${options.command}"`]),
      ...(options.acceptEnv ?? []).map((name) => `AcceptEnv ${name}`),
      "",
    ].join("\n"),
  );
  // Its own separation folder is made by the system's service, which need not run here.
  if (userInfo().uid === 0) await mkdir("/run/sshd", { recursive: true });
  const log = join(dir, "log");
  const words = [PROGRAM, "-D", "-f", join(dir, "config"), "-E", log];
  const [program = "", ...args] = namespace ? [...within(namespace), ...words] : words;
  const child = spawn(program, args, { stdio: "ignore" });
  const killOnExit = () => child.kill("SIGKILL");
  process.once("exit", killOnExit);
  const stop = async () => {
    process.removeListener("exit", killOnExit);
    await end(child);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await listening(child, log);
  } catch (error) {
    const text = await readFile(log, "utf8").catch(() => "no log");
    await stop();
    throw new Error(`sshd did not start: ${text}`, { cause: error });
  }
  const [type, key] = (await readFile(join(dir, "host.pub"), "utf8")).split(" ");
  return {
    host: address,
    port,
    user,
    privateKey: await readFile(join(dir, "user"), "utf8"),
    keyFile: join(dir, "user"),
    hostKey: `${type} ${key}`,
    hostPrivateKey: await readFile(join(dir, "host"), "utf8"),
    log: () => readFile(log, "utf8"),
    stop,
  };
}

/** A pair of keys, `path` and `path.pub`: the given one, or a new one of ed25519. */
async function keyIn(path: string, privateKey: string | undefined): Promise<void> {
  if (privateKey === undefined) {
    await execute("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path]);
    return;
  }
  await writeFile(path, privateKey, { mode: 0o600 });
  await writeFile(`${path}.pub`, (await execute("ssh-keygen", ["-y", "-f", path])).stdout);
}

/** By its log: in a namespace of its own nobody here can connect to it. */
async function listening(child: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`sshd ended with status ${child.exitCode}`);
    const text = await readFile(log, "utf8").catch(() => "");
    if (text.includes("Server listening on ")) return;
    await sleep(50);
  }
  throw new Error("sshd does not listen");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.kill();
  await gone;
}
