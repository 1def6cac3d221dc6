import { stripVTControlCharacters } from "node:util";
import { dockerEnvironment } from "../host/docker.ts";
import { type RunResult, run } from "../world/run.ts";
import type { World } from "../world/world.ts";
import { operatorHome } from "./ssh.ts";

export interface KamalOptions {
  /** @default 120000 */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs the real Kamal in the sample application, as its operator would, with colours removed. A failure is returned,
 * not thrown; mind that Kamal exits 0 on several of them, so callers check the effect themselves.
 */
export async function kamal(
  world: Pick<World, "kamal" | "app">,
  args: readonly string[],
  options: KamalOptions = {},
): Promise<RunResult> {
  const result = await run(world.kamal, args, {
    cwd: world.app.dir,
    allowFailure: true,
    timeoutMs: options.timeoutMs ?? 120_000,
    env: {
      ...(await dockerEnvironment()),
      HOME: operatorHome, // its known_hosts holds the sandbox's host
      SSH_AUTH_SOCK: undefined,
      ...options.env,
    },
  });
  return {
    code: result.code,
    stdout: stripVTControlCharacters(result.stdout),
    stderr: stripVTControlCharacters(result.stderr),
  };
}
