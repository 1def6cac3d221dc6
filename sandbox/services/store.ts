import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import {
  type ContainerState,
  containerState,
  docker,
  removeContainer,
  tryPull,
} from "../host/docker.ts";
import { tryFindProgram } from "../host/processes.ts";
import { sandboxLabel, stateDir } from "../world/paths.ts";
import { eventually } from "../world/run.ts";
import type { Settings } from "../world/settings.ts";
import type { World } from "../world/world.ts";

const port = 8333;
const region = "us-east-1";
const publishedImage = "chrislusf/seaweedfs:4.53";
const envFile = join(stateDir, "store.env");
export const storeName = (id: string) => `kamal-postgres-backup-${id}-s3`;

/**
 * SeaweedFS on the network `kamal` with its IAM API on and one administrator key. Its container address is the one
 * endpoint that serves this host and the containers alike.
 * @param debian makes sure of an image that can run the `weed` binary, and returns its name
 */
export async function ensureStore(
  settings: Settings,
  debian: () => Promise<string>,
): Promise<World["store"]> {
  const container = storeName(settings.id);
  let state = await containerState(container);
  if (state !== undefined && state.status !== "running") {
    await docker(["container", "start", container], { allowFailure: true });
    state = await containerState(container);
  }
  if (state?.status === "running") {
    const world = describe(settings, state);
    if (await storeAnswers(world, 15_000)) return world;
  }
  // Half-written data after a hard stop makes every later write fail, so a store that does not answer starts anew.
  await removeContainer(container);
  await docker(["volume", "rm", "--force", container], { allowFailure: true });
  await startContainer(settings, container, debian);
  const started = await containerState(container);
  if (started === undefined) throw new Problem(`The container ${container} vanished at its start.`);
  const world = describe(settings, started);
  if (!(await storeAnswers(world, 30_000))) {
    const logs = await docker(["logs", "--tail", "3", container], { allowFailure: true });
    throw new Problem(
      `The S3 service does not answer at ${world.endpoint}, an address on Docker's network that this host must reach (Linux): ${logs.stderr.trim()}`,
    );
  }
  return world;
}

function describe(settings: Settings, state: ContainerState): World["store"] {
  return {
    endpoint: `http://${state.address}:${port}`,
    region,
    ...settings.store,
    container: storeName(settings.id),
  };
}

/** True as soon as a signed request succeeds, false when none does in time. */
export async function storeAnswers(world: World["store"], timeoutMs: number): Promise<boolean> {
  const client = new S3Client({
    endpoint: world.endpoint,
    region: world.region,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: world.accessKeyId, secretAccessKey: world.secretAccessKey },
  });
  try {
    await eventually("The S3 service", timeoutMs, async () => {
      await client.send(new ListBucketsCommand({}), { abortSignal: AbortSignal.timeout(2_000) });
      return true;
    });
    return true;
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  } finally {
    client.destroy();
  }
}

async function startContainer(
  settings: Settings,
  container: string,
  debian: () => Promise<string>,
): Promise<void> {
  // `weed mini` takes its first administrator from these; a file keeps them out of the process list.
  writeFileSync(
    envFile,
    `AWS_ACCESS_KEY_ID=${settings.store.accessKeyId}\nAWS_SECRET_ACCESS_KEY=${settings.store.secretAccessKey}\n`,
    { mode: 0o600 },
  );
  const weed = await tryFindProgram("weed");
  const useBinary = weed !== undefined && process.platform === "linux";
  if (!useBinary && !(await tryPull(publishedImage, 120_000))) {
    throw new Problem(
      `No S3 service can be had: put 'weed' (SeaweedFS >= 4.53) on PATH, or let Docker pull ${publishedImage}.`,
    );
  }
  await docker([
    ...["run", "--detach", "--name", container, "--label", `${sandboxLabel}=${settings.id}`],
    ...["--network", "kamal", "--network-alias", "s3.sandbox", "--env-file", envFile],
    ...["--volume", `${container}:/data`],
    ...(useBinary
      ? ["--volume", `${weed}:/usr/local/bin/weed:ro`, await debian(), "/usr/local/bin/weed"]
      : ["--entrypoint", "weed", publishedImage]),
    ...weedArguments,
  ]);
  rmSync(envFile);
}

/** Its own parts talk over the container's loopback, so that a changed container address does not matter to them. */
const weedArguments = [
  "mini",
  ...["-dir=/data", "-ip=127.0.0.1", "-ip.bind=0.0.0.0"],
  ...["-admin.ui=false", "-webdav=false", "-master.telemetry=false"],
  ...[`-s3.port=${port}`, "-s3.domainName=s3.sandbox", "-s3.iam.readOnly=false"],
];
