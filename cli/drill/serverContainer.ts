import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";
import { lastLine } from "../../common/process.ts";
import { docker, requireDocker } from "./localDocker.ts";

/** Where every image of PostgreSQL has its socket. */
export const SOCKET_FOLDER = "/var/run/postgresql";
/** Where a volume with data is mounted, whatever the image's own place is, which has moved with PostgreSQL 18. */
const DATA_FOLDER = "/pgdata";

/** A server that has never been started before needs some seconds; one on a busy machine more. */
const READY_TRIES = 240;
const READY_EVERY_MS = 500;
/** Beside the data, for the processes of a server whose data is in memory. */
const PROCESS_BYTES = 512 * 1024 ** 2;

/** Where a server has its data: it goes with the container, or lies in a volume that stays, or in memory. */
export type DataPlace =
  | { readonly kind: "container" }
  | { readonly kind: "volume"; readonly name: string }
  | { readonly kind: "memory"; readonly bytes: number };

export interface ServerContainer {
  readonly name: string;
  readonly image: string;
  readonly superuser: string;
  /** Of a new data folder; absent: the folder has been filled before. */
  readonly password?: string;
  /** More words for `docker run`. */
  readonly words: readonly string[];
  readonly data: DataPlace;
}

/** Words for a container that may use so much memory, and no swap space at all. */
export function memoryWords(bytes: number): string[] {
  // Version 2 of control groups needs the last one no more and ignores it.
  return ["--memory", String(bytes), "--memory-swap", String(bytes), "--memory-swappiness", "0"];
}

/** What a server with its data in memory may use altogether. */
export function memoryOf(dataBytes: number): number {
  return dataBytes + PROCESS_BYTES;
}

/**
 * Starts a server and waits until it answers.
 * @throws Problem when it does not come up
 */
export async function startServer(
  { name, image, superuser, password, words, data }: ServerContainer,
  stopped: AbortSignal,
): Promise<void> {
  const variables: Record<string, string> = {
    ...(password !== undefined && {
      POSTGRES_USER: superuser,
      POSTGRES_PASSWORD: password,
      POSTGRES_DB: "postgres",
    }),
    ...(data.kind !== "container" && { PGDATA: `${DATA_FOLDER}/data` }),
  };
  await requireDocker(
    "the server could not be started",
    [
      ...["run", "--detach", "--name", name, ...words],
      // Docker's 64 MB are too little for an index that several workers build.
      ...["--shm-size", "256m", ...(await dataWords(image, data))],
      ...Object.keys(variables).flatMap((variable) => ["--env", variable]),
      ...[image, ...(data.kind === "memory" ? SETTINGS_IN_MEMORY : [])],
    ],
    // Waited for at Ctrl-C too: a container that is made afterwards would be nobody's.
    { env: variables, unstoppable: true },
  );
  await until(`the server of ${image} was not ready`, stopped, async () => {
    // While the cluster is made, it listens on its socket alone.
    const asked = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", superuser];
    if ((await docker(["exec", name, ...asked])).code === 0) return true;
    const format = ["--format", "{{.State.Running}}"];
    if ((await docker(["container", "inspect", ...format, name])).stdout.trim() === "true") {
      return false;
    }
    const { stdout, stderr } = await docker(["logs", "--tail", "5", name]);
    throw new Problem(
      `the server of ${image} ended at once: ${lastLine(stderr) || lastLine(stdout)}`,
    );
  });
}

/**
 * A server that is gone at its end needs no safety of its own. What it logs may quote rows, so that stands in its data folder, and
 * not in Docker's log on the disk.
 */
const SETTINGS_IN_MEMORY = [
  "postgres",
  ...["logging_collector=on", "fsync=off", "full_page_writes=off", "synchronous_commit=off"],
  ...["wal_level=minimal", "max_wal_senders=0", "max_wal_size=128MB", "min_wal_size=64MB"],
].flatMap((word) => (word === "postgres" ? [word] : ["-c", word]));

/**
 * In memory: the container can write nowhere else. Its own files are read-only, and each volume that the image asks for is one
 * of memory as well.
 */
async function dataWords(image: string, data: DataPlace): Promise<string[]> {
  switch (data.kind) {
    case "container":
      return [];
    case "volume":
      return ["--volume", `${data.name}:${DATA_FOLDER}`];
    case "memory": {
      const mount = (folder: string, bytes: number) => [
        "--mount",
        `type=tmpfs,destination=${folder},tmpfs-size=${bytes}`,
      ];
      const format = ["--format", "{{json .Config.Volumes}}"];
      const what = `the image ${image} could not be read`;
      const asked = await requireDocker(what, ["image", "inspect", ...format, image]);
      const volumes = Object.keys((JSON.parse(asked) as Record<string, unknown> | null) ?? {});
      return [
        ...["--read-only", ...mount(DATA_FOLDER, data.bytes)],
        ...["/tmp", ...volumes].flatMap((folder) => mount(folder, 1024 ** 2)),
        ...memoryWords(memoryOf(data.bytes)),
      ];
    }
  }
}

/**
 * Waits for something that Docker has begun.
 * @param failure what did not happen, for the sentence
 * @throws Problem when it takes too long; the reason of what was stopped
 */
export async function until(
  failure: string,
  stopped: AbortSignal,
  isReady: () => Promise<boolean>,
): Promise<void> {
  for (let tries = 0; tries < READY_TRIES; tries += 1) {
    stopped.throwIfAborted();
    if (await isReady()) return;
    await sleep(READY_EVERY_MS);
  }
  throw new Problem(`${failure} within ${(READY_TRIES * READY_EVERY_MS) / 1000} s.`);
}
