import { rmSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { discardBootstrap } from "../host/debian.ts";
import { docker, requireEngine } from "../host/docker.ts";
import { withLock } from "../world/lock.ts";
import { checkout, otherSandboxes, sandboxId, sandboxLabel, stateDir } from "../world/paths.ts";
import { run } from "../world/run.ts";
import { loadSettings } from "../world/settings.ts";
import { forgetWorld } from "../world/world.ts";
import { lines, removeContainers, removeVolumes, stopServers } from "./leftovers.ts";
import { step } from "./steps.ts";

export interface DownOptions {
  /** Gets one line for each step. @default nothing is printed */
  readonly log?: (line: string) => void;
}

/**
 * Removes everything that this checkout's sandbox started: containers, also those that Kamal or the backup booted for
 * its application, volumes, images, network, servers and the state folder. Downloads stay in the cache.
 */
export async function down(options: DownOptions = {}): Promise<void> {
  const log = options.log ?? (() => {});
  await withLock(async () => {
    await requireEngine();
    forgetWorld();
    const id = sandboxId(checkout);
    const count = (what: string) => (names: readonly string[]) => `${names.length} ${what}`;
    await step(log, "containers", () => removeContainers(id), count("removed"));
    await step(log, "volumes", () => removeVolumes(id), count("removed"));
    const server = `127.0.0.1:${(await loadSettings()).registryPort}/`;
    await step(
      log,
      "images",
      () => removeImages(server),
      ({ removed, inUse }) =>
        `${removed.length} removed${inUse.length === 0 ? "" : `, ${inUse.length} left to containers that others made`}`,
    );
    await step(log, "network", removeNetwork, count("removed"));
    await step(
      log,
      "servers",
      () => stopServers(id),
      () => "ssh and registry stopped",
    );
    await discardBootstrap();
  }, log);
  rmSync(stateDir, { recursive: true, force: true });
}

/** The same for every other sandbox of this checkout, e.g. the second one that the tests use. */
export async function downOthers({ log = () => {} }: DownOptions = {}): Promise<void> {
  const program = join(import.meta.dirname, "../main.ts");
  for (const name of otherSandboxes()) {
    const env = { SANDBOX_NAME: name };
    const { stdout } = await run(process.execPath, [program, "down", "--only"], { env });
    log(`${`sandbox ${name || "(first)"}`.padEnd(16)} ${stdout.trim().split("\n").at(-1)}`);
  }
}

/**
 * Every name in our registry, whatever pushed or pulled it. By name, not by image: another sandbox may hold the same
 * image under its own. Digests go first, because the engine drops them by itself with the last tag. What a container of
 * somebody else's runs on stays.
 * @param server address of the registry with a slash behind it
 */
export async function removeImages(
  server: string,
): Promise<{ readonly removed: readonly string[]; readonly inUse: readonly string[] }> {
  const format = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}";
  const rows = (await lines(["image", "ls", "--digests", "--format", format]))
    .map((line) => line.split("\t"))
    .filter(([repository]) => repository?.startsWith(server));
  const named = (column: number, separator: string) =>
    rows
      .filter((row) => row[column] !== "<none>")
      .map((row) => `${row[0]}${separator}${row[column]}`);
  const removed: string[] = [];
  const inUse: string[] = [];
  for (const name of new Set([...named(2, "@"), ...named(1, ":")])) {
    const result = await docker(["image", "rm", name], { allowFailure: true });
    if (result.code === 0) removed.push(name);
    else if (/container \w+ is using|is being used by/.test(result.stderr)) inUse.push(name);
    else throw new Problem(result.stderr.trim());
  }
  return { removed, inUse };
}

/** Only when a sandbox made it, this one or another since gone, and nobody uses it by now. */
async function removeNetwork(): Promise<string[]> {
  const found = await lines([
    "network",
    "ls",
    ...["--filter", `label=${sandboxLabel}`, "--format", "{{.Name}}"],
  ]);
  const removed: string[] = [];
  for (const name of found) {
    const result = await docker(["network", "rm", name], { allowFailure: true });
    if (result.code === 0) removed.push(name);
    else if (!/active endpoints/.test(result.stderr)) throw new Problem(result.stderr.trim());
  }
  return removed;
}
