import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./freePort.ts";

const execute = promisify(execFile);
const START_LIMIT_MS = 60_000;
/** bcrypt of the password below. */
const HASH = "$2y$05$abcdefghijklmnopqrstuuLD6BJIiQx.vKfqP.qEL0zhw4rWjzgK2";

/** A throw-away container registry on a free loopback port that asks for a password. */
export interface TestRegistry {
  /** `127.0.0.1:PORT` */
  readonly server: string;
  readonly username: string;
  readonly password: string;
  /** Asks the registry itself. @param path below `/v2/` */
  get(path: string): Promise<Response>;
  stop(): Promise<void>;
}

/** Why images cannot be built and pushed on this machine; undefined when they can. */
export async function whyNoDocker(): Promise<string | undefined> {
  const engine = await execute("docker", ["info"]).catch(() => undefined);
  if (engine === undefined) return "no Docker engine answers on this machine";
  const program = await execute("docker-registry", ["--help"]).catch(() => undefined);
  return program === undefined ? "docker-registry is not installed on this machine" : undefined;
}

/** @throws Error when it does not answer within a minute */
export async function startRegistry(): Promise<TestRegistry> {
  const dir = await mkdtemp(join(tmpdir(), "kpb-registry-"));
  const server = `127.0.0.1:${await freePort()}`;
  const [username, password] = ["tester", "registry-canary-password"];
  await writeFile(join(dir, "htpasswd"), `${username}:${HASH}\n`);
  const config = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: join(dir, "data") } },
    http: { addr: server },
    auth: { htpasswd: { realm: "test", path: join(dir, "htpasswd") } },
  };
  await writeFile(join(dir, "config.yml"), JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", join(dir, "config.yml")], { stdio: "ignore" });
  const killOnExit = () => child.kill("SIGKILL");
  process.once("exit", killOnExit);
  const stop = async () => {
    process.removeListener("exit", killOnExit);
    await end(child);
    await rm(dir, { recursive: true, force: true });
  };
  const token = Buffer.from(`${username}:${password}`).toString("base64");
  const get = (path: string) =>
    fetch(`http://${server}/v2/${path}`, {
      headers: {
        authorization: `Basic ${token}`,
        accept: "application/vnd.docker.distribution.manifest.v2+json",
      },
    });
  try {
    await answers(child, () => get(""));
  } catch (error) {
    await stop();
    throw error;
  }
  return { server, username, password, get, stop };
}

async function answers(child: ChildProcess, ask: () => Promise<Response>): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the registry ended with ${child.exitCode}`);
    const status = await ask().then(
      (response) => response.status,
      () => 0, // not listening yet
    );
    if (status === 200) return;
    await sleep(50);
  }
  throw new Error("the registry does not answer");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.kill();
  await gone;
}
