import * as z from "zod";
import { WAL_ROLE } from "../../../common/contracts/agentEnvironment/pointInTime.ts";
import type { RecoveryPlan } from "../../../common/contracts/pointInTime.ts";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import type { Container } from "../../session/agentCall.ts";
import { onHost, requireOnHost } from "./hostDocker.ts";

/** What a side instance takes over from the container of the live server. */
export interface ServerModel {
  /** Image by its digest, so that collations and extensions are the same. */
  readonly image: string;
  /** Words behind the image's name, `postgres -c shared_preload_libraries=...`. */
  readonly command: readonly string[];
  /** Files and folders of the host that it reads besides its data: configuration, certificates. */
  readonly mounts: readonly string[];
  /** Longest use of memory. Bytes. */
  readonly memoryBytes: number;
  /** Where its image has the data. */
  readonly dataFolder: string;
  /** Role by which it is asked how far it is: the agent's, else the one that reads WAL. */
  readonly user: string;
}

const inspectedSchema = z.object({
  image: z.string(),
  command: z.array(z.string()).nullable(),
  memory: z.number(),
  mounts: z.array(z.object({ Source: z.string(), Destination: z.string() })),
});

/** Where the official image has its data, up to PostgreSQL 17. */
const DATA_FOLDER = "/var/lib/postgresql/data";
/** For a server whose container has no limit: a quarter of the host's memory, but enough to recover at all. */
const LEAST_MEMORY = 512 * 1024 * 1024;

/** Without the environment, which has the server's password. */
const FORMAT =
  '{"image":{{json .Image}},"command":{{json .Config.Cmd}},"memory":{{json .HostConfig.Memory}},"mounts":{{json .Mounts}}}';

/**
 * The server that the agent backs up, as Docker knows its container on the host.
 * @param image given by the reader @default that of the container
 * @throws Problem when there is neither
 */
export async function findServer(container: Container, image?: string): Promise<ServerModel> {
  const agent = await variablesOf(container, container.name, ["POSTGRES_HOST", "POSTGRES_USER"]);
  const host = agent["POSTGRES_HOST"] ?? "";
  const user = agent["POSTGRES_USER"] ?? WAL_ROLE;
  const inspect = ["docker", "inspect", "--type", "container", "--format", FORMAT, host];
  const { code, stdout } = host === "" ? { code: 1, stdout: "" } : await onHost(container, inspect);
  const memory = Number(
    await requireOnHost(container, "Docker could not be asked", [
      ...["docker", "info", "--format", "{{.MemTotal}}"],
    ]),
  );
  const share = Math.max(Math.floor(memory / 4), LEAST_MEMORY);
  if (code !== 0) {
    if (image === undefined) {
      throw new Problem(
        `${host === "" ? "a container of the database" : `the container of the database, ${host},`} is not on ${container.host}, so its image is not known. Name the image of the accessory in deploy.yml: --image postgres:17.`,
      );
    }
    return { image, command: [], mounts: [], memoryBytes: share, dataFolder: DATA_FOLDER, user };
  }
  const found = inspectedSchema.parse(JSON.parse(stdout));
  const own = await variablesOf(container, host, ["PGDATA"]);
  const dataFolder = own["PGDATA"] ?? DATA_FOLDER;
  const [program, ...words] = found.command ?? [];
  return {
    image: image ?? found.image,
    command: program === "postgres" ? words : [],
    // Not its data, nor what lies around it.
    mounts: found.mounts
      .filter(({ Destination }) => !`${dataFolder}/`.startsWith(`${Destination}/`))
      .map(({ Source, Destination }) => `${Source}:${Destination}:ro`),
    memoryBytes: found.memory > 0 ? found.memory : share,
    dataFolder,
    user,
  };
}

/** Variables of a container by their names: the others, secrets among them, stay on the host. */
async function variablesOf(
  container: Container,
  name: string,
  wanted: readonly string[],
): Promise<Record<string, string>> {
  const script = `docker inspect --type container --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" | grep -E "$2"`;
  const pattern = `^(${wanted.join("|")})=`;
  const { stdout } = await onHost(container, ["sh", "-c", script, "variables", name, pattern]);
  const lines = stdout.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

/**
 * Looks whether the host's disk has room, before anything is made.
 * @param comesBack the database is also dumped, and made anew on the live server: about as much again, and half of it
 * @returns what is needed and what is free. Bytes
 * @throws Problem with both figures where it has not
 */
export async function requireRoom(
  container: Container,
  { image }: ServerModel,
  plan: RecoveryPlan,
  comesBack: boolean,
): Promise<{ readonly needed: number; readonly free: number }> {
  const base = Math.max(...plan.bases.map(({ unpackedBytes }) => unpackedBytes));
  const needed = plan.diskBytes + (comesBack ? base * 1.5 : 0);
  // A container's own files lie where Docker keeps its volumes.
  const output = await requireOnHost(container, "the free space could not be measured", [
    ...["docker", "run", "--rm", "--network", "none", "--entrypoint", "df", image, "-Pk", "/"],
  ]);
  const free = Number(output.trim().split("\n").at(-1)?.split(/\s+/)[3]) * 1024;
  if (free >= needed) return { needed, free };
  throw new Problem(
    `a recovery needs about ${formatBytes(needed)} beside what is there, and ${container.host} has ${formatBytes(free)} free where Docker keeps its volumes. Free some space (docker system df shows what takes it), or recover on another host.`,
  );
}
