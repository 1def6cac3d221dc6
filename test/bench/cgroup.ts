import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";

const root = "/sys/fs/cgroup";

/** What the processes of a container hold and nobody can take back without ending them, and what is charged besides. */
export interface MemorySample {
  /** Memory of the processes themselves, bytes. */
  readonly anonymous: number;
  /** Files in memory file systems (`/dev/shm`), bytes. */
  readonly shared: number;
  /** Page tables, stacks, kernel objects, bytes. */
  readonly kernel: number;
}

/** The accounts that the kernel keeps of one container. Either version of control groups. */
export interface Cgroup {
  /** CPU time since the container's start, seconds. */
  cpuSeconds(): number;
  memory(): MemorySample;
  pids(): number[];
}

/**
 * The control group that a process is in.
 * @param pid a container's first process
 * @throws Problem where this machine's kernel does not account, e.g. because the engine runs in a virtual machine
 */
export function cgroupOf(pid: number): Cgroup {
  const file = `/proc/${pid}/cgroup`;
  if (!existsSync(file)) {
    throw new Problem(
      "The bench reads the kernel's accounts of its containers: run it on the Linux machine whose Docker engine it uses.",
    );
  }
  const paths = new Map<string, string>();
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const name of (controllers ?? "").split(",")) paths.set(name, path ?? "");
  }
  const memory = paths.get("memory");
  const cpu = paths.get("cpuacct");
  return memory !== undefined && cpu !== undefined
    ? first(join(root, "memory", memory), join(root, "cpuacct", cpu))
    : second(join(root, paths.get("") ?? ""));
}

function first(memory: string, cpu: string): Cgroup {
  return {
    cpuSeconds: () => number(join(cpu, "cpuacct.usage")) / 1e9,
    memory: () => {
      const stat = fields(join(memory, "memory.stat"));
      return {
        anonymous: stat("total_rss"),
        shared: stat("total_shmem"),
        kernel: number(join(memory, "memory.kmem.usage_in_bytes")),
      };
    },
    pids: () => lines(join(memory, "cgroup.procs")),
  };
}

function second(dir: string): Cgroup {
  return {
    cpuSeconds: () => fields(join(dir, "cpu.stat"))("usage_usec") / 1e6,
    memory: () => {
      const stat = fields(join(dir, "memory.stat"));
      return {
        anonymous: stat("anon"),
        shared: stat("shmem"),
        kernel: stat("kernel"),
      };
    },
    pids: () => lines(join(dir, "cgroup.procs")),
  };
}

/**
 * Memory of the processes with shared pages (programs, libraries) divided among their users, bytes; the kernel's "PSS".
 * Undefined where this user may not look.
 */
export function proportionalSet(pids: readonly number[]): number | undefined {
  let sum = 0;
  for (const pid of pids) {
    try {
      const found = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
      sum += Number(found?.[1] ?? 0) * 1024;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // ENOENT, ESRCH: it has ended meanwhile.
      if (code === "EACCES" || code === "EPERM") return undefined;
      if (code !== "ENOENT" && code !== "ESRCH") throw error;
    }
  }
  return sum;
}

function fields(file: string): (name: string) => number {
  const text = readFileSync(file, "utf8");
  return (name) => {
    const found = new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
    if (found === undefined) throw new Problem(`${file} has no "${name}" on this kernel.`);
    return Number(found);
  };
}

const number = (file: string) => Number(readFileSync(file, "utf8").trim());
const lines = (file: string) =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map(Number);
