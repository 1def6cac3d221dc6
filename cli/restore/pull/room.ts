import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { requireDocker } from "../../drill/localDocker.ts";
import { type DataPlace, memoryOf } from "../../drill/serverContainer.ts";

/** What the machine has on which Docker runs, which may be a virtual one. Bytes. */
export interface Room {
  readonly memory: number;
  readonly disk: number;
  /** Whether memory may be written to a disk, and Docker cannot keep a container's from it. */
  readonly swaps: boolean;
}

/** Beside the server: the agent, which reads the backup, and this program. */
const BESIDE_BYTES = 512 * 1024 ** 2;
/** A new cluster, and the WAL between two checkpoints. */
const CLUSTER_BYTES = 384 * 1024 ** 2;

/**
 * Asks a container for the memory and the disk of its machine.
 * @param image any one with a shell
 * @throws Problem when Docker does not say
 */
export async function readRoom(image: string): Promise<Room> {
  const what = "the memory of Docker's machine could not be read";
  const words = ["run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c"];
  const text = await requireDocker(what, [
    ...words,
    "cat /proc/meminfo && df -Pk / | tail -1 | awk '{ print \"Disk: \" $4 }'",
  ]);
  const limit = await requireDocker(what, ["info", "--format", "{{.SwapLimit}}"]);
  const kibibytes = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
  return {
    memory: kibibytes("MemAvailable"),
    disk: kibibytes("Disk"),
    swaps: kibibytes("SwapTotal") > 0 && limit !== "true",
  };
}

/**
 * Where masking has its data: in memory, which no disk sees. Masking writes a second version of each row, so that a database needs
 * twice its size.
 * @param databaseBytes size of the database that was backed up
 * @param isPart only a part of it is restored, of which the size is not known
 * @throws Problem with figures and a way where the memory cannot hold it
 */
export function placeInMemory(
  { memory, swaps }: Room,
  databaseBytes: number,
  isPart: boolean,
): DataPlace {
  if (swaps) {
    throw new Problem(
      "Docker on this machine cannot keep memory out of swap space, so unmasked rows could reach the disk. Turn the swap space off (swapoff -a), or use the Docker of another machine: DOCKER_HOST=ssh://USER@HOST.",
    );
  }
  const needed = 2 * databaseBytes + CLUSTER_BYTES;
  const most = memory - BESIDE_BYTES - memoryOf(0);
  if (needed <= most || (isPart && most > CLUSTER_BYTES)) {
    return { kind: "memory", bytes: Math.min(needed, most) };
  }
  throw new Problem(
    `masking ${formatBytes(databaseBytes)} wants ${formatBytes(memoryOf(needed) + BESIDE_BYTES)} of memory, since unmasked rows never lie on a disk here, and ${formatBytes(memory)} are free. Pull a part with --table, or use the Docker of a machine with more memory: DOCKER_HOST=ssh://USER@HOST.`,
  );
}

/** @throws Problem with figures where the disk cannot hold the database */
export function requireDisk({ disk }: Room, databaseBytes: number): void {
  if (disk >= databaseBytes) return;
  throw new Problem(
    `the database has ${formatBytes(databaseBytes)}, and Docker's disk has ${formatBytes(disk)} free. Make room, or pull a part with --table.`,
  );
}
