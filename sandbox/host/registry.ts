import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { sandboxLabel, stateDir } from "../world/paths.ts";
import { eventually, run, startDetached } from "../world/run.ts";
import { freePort, type Settings, saveSettings } from "../world/settings.ts";
import type { World } from "../world/world.ts";
import { containerState, docker, removeContainer, tryPull } from "./docker.ts";
import { logTail, processesWith, stopProcesses, tryFindProgram } from "./processes.ts";

const dir = join(stateDir, "registry");
/** What was pushed; the images' cache is copied from and to here. */
export const registryData = join(dir, "data");
const configFile = join(dir, "config.yml");
const passwordFile = join(dir, "htpasswd");
/** On the command line of our server alone. */
const mark = ` serve ${configFile}`;
const logFile = join(dir, "registry.log");
const username = "sandbox";
const containerName = (id: string) => `kamal-postgres-backup-${id}-registry`;

/** A container registry on loopback that asks for a password, as the application's own registry. */
export async function ensureRegistry(settings: Settings): Promise<World["registry"]> {
  const container = await containerState(containerName(settings.id));
  const lives = (await processesWith(mark)).length > 0 || container?.status === "running";
  if (!lives) {
    settings.registryPort = await freePort(settings.registryPort);
    saveSettings(settings);
    mkdirSync(registryData, { recursive: true });
    writeFileSync(passwordFile, await passwordEntry(settings.registryPassword), { mode: 0o600 });
    const program = await tryFindProgram("docker-registry");
    if (program === undefined) await startContainer(settings);
    else {
      writeFileSync(configFile, registryConfig(settings.registryPort));
      startDetached(program, ["serve", configFile], logFile);
    }
  }
  const world = {
    server: `127.0.0.1:${settings.registryPort}`,
    username,
    password: settings.registryPassword,
  };
  await eventually(`The registry (${logTail(logFile)})`, 10_000, async () =>
    (await registryAnswers(world)) ? true : undefined,
  );
  const login = ["login", world.server, "--username", username, "--password-stdin"];
  await docker(login, { input: world.password });
  return world;
}

/** @returns how many servers were stopped that were programs of this host */
export async function stopRegistry(id: string): Promise<number> {
  const stopped = await stopProcesses(mark);
  await removeContainer(containerName(id));
  return stopped;
}

/** True when the registry accepts the password and refuses a request without it. */
export async function registryAnswers(world: World["registry"]): Promise<boolean> {
  const url = `http://${world.server}/v2/`;
  const token = Buffer.from(`${world.username}:${world.password}`).toString("base64");
  try {
    const signal = AbortSignal.timeout(2_000);
    const [known, unknown] = await Promise.all([
      fetch(url, { headers: { authorization: `Basic ${token}` }, signal }),
      fetch(url, { signal }),
    ]);
    return known.status === 200 && unknown.status === 401;
  } catch {
    return false; // not listening: the answer, not an error
  }
}

function registryConfig(port: number): string {
  return `version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: ${JSON.stringify(registryData)}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:${port}
  secret: ${randomBytes(16).toString("hex")}
auth:
  htpasswd:
    realm: sandbox
    path: ${JSON.stringify(passwordFile)}
`;
}

/** The registry reads bcrypt alone. Apache's tool makes it; else Perl does, through the C library of Debian. */
async function passwordEntry(password: string): Promise<string> {
  if ((await tryFindProgram("htpasswd")) !== undefined) {
    return (await run("htpasswd", ["-niB", username], { input: password })).stdout;
  }
  const salt = `$2y$05$${randomBytes(11).toString("hex")}`;
  const script = "local $/; my $password = <STDIN>; print crypt($password, $ARGV[0])";
  const hash = (await run("perl", ["-e", script, salt], { input: password })).stdout;
  if (!hash.startsWith("$2y$")) {
    throw new Problem(
      "No program here can hash the registry's password: install htpasswd (Debian: apache2-utils).",
    );
  }
  return `${username}:${hash}\n`;
}

async function startContainer(settings: Settings): Promise<void> {
  const name = containerName(settings.id);
  await removeContainer(name);
  if (!(await tryPull("registry:2", 60_000))) {
    throw new Problem(
      "No container registry can be had: install docker-registry (Debian package), or let Docker pull registry:2.",
    );
  }
  await docker([
    ...["run", "--detach", "--name", name, "--label", `${sandboxLabel}=${settings.id}`],
    ...["--publish", `127.0.0.1:${settings.registryPort}:5000`],
    ...["--volume", `${registryData}:/var/lib/registry`],
    ...["--volume", `${passwordFile}:/htpasswd:ro`],
    ...["--env", "REGISTRY_AUTH=htpasswd", "--env", "REGISTRY_AUTH_HTPASSWD_REALM=sandbox"],
    ...["--env", "REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd"],
    "registry:2",
  ]);
}
