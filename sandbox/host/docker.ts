import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { sandboxLabel, stateDir } from "../world/paths.ts";
import { type RunOptions, type RunResult, run } from "../world/run.ts";

/** The folder that stands for `~/.docker`, so that log-ins of the sandbox never reach the user's own. */
const configDir = join(stateDir, "docker");

let environment: Promise<Record<string, string>> | undefined;

/**
 * The environment that every docker command of the sandbox needs. The engine is the user's own choice (context or
 * DOCKER_HOST), the log-ins are the sandbox's.
 */
export function dockerEnvironment(): Promise<Record<string, string>> {
  environment ??= (async () => {
    mkdirSync(configDir, { recursive: true, mode: 0o700 });
    const context = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
    const host = process.env["DOCKER_HOST"] ?? (await run("docker", context)).stdout.trim();
    // The newer builder is a plugin that a bare engine lacks; the older one comes with the engine.
    const buildx = await run("docker", ["buildx", "version"], { allowFailure: true });
    return {
      DOCKER_CONFIG: configDir,
      DOCKER_HOST: host,
      DOCKER_BUILDKIT: buildx.code === 0 ? "1" : "0",
    };
  })();
  return environment;
}

/** Runs `docker ARGS` against the user's engine with the sandbox's log-ins. */
export async function docker(
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return run("docker", args, {
    ...options,
    env: { ...(await dockerEnvironment()), ...options.env },
  });
}

/** @throws Problem when no engine answers */
export async function requireEngine(): Promise<void> {
  const info = await run("docker", ["info", "--format", "{{.ServerVersion}}"], {
    allowFailure: true,
    timeoutMs: 20_000,
  });
  if (info.code !== 0) {
    throw new Problem("No Docker engine answers: run scripts/setup, which starts or names one.");
  }
}

export interface ContainerState {
  readonly status: string;
  /** Address on the network `kamal`; empty unless running. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the engine says about a container, or `undefined` when there is none of that name. */
export async function containerState(name: string): Promise<ContainerState | undefined> {
  const result = await docker(["container", "inspect", name], { allowFailure: true });
  if (result.code !== 0) return undefined;
  const [found] = JSON.parse(result.stdout) as {
    State: { Status: string };
    Config: { Labels: Record<string, string> | null };
    NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
  }[];
  if (found === undefined) return undefined;
  return {
    status: found.State.Status,
    address: found.NetworkSettings.Networks["kamal"]?.IPAddress ?? "",
    labels: found.Config.Labels ?? {},
  };
}

export async function removeContainer(name: string): Promise<void> {
  await docker(["container", "rm", "--force", "--volumes", name], { allowFailure: true });
}

/** Makes the network that Kamal uses, unless it is there; its label says that it is ours to remove. */
export async function ensureNetwork(id: string): Promise<void> {
  const isThere = async () =>
    (await docker(["network", "inspect", "kamal"], { allowFailure: true })).code === 0;
  if (await isThere()) return;
  const create = ["network", "create", "--label", `${sandboxLabel}=${id}`, "kamal"];
  const made = await docker(create, { allowFailure: true });
  // Another sandbox may have been faster.
  if (made.code !== 0 && !(await isThere())) throw new Problem(made.stderr.trim());
}

/** Pulls an image if a registry answers in time; false when it cannot be had. */
export async function tryPull(image: string, timeoutMs: number): Promise<boolean> {
  try {
    return (await docker(["pull", "--quiet", image], { allowFailure: true, timeoutMs })).code === 0;
  } catch (error) {
    if (error instanceof Problem) return false; // too slow counts as not to be had
    throw error;
  }
}
