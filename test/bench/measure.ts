import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import type { RunResult } from "../../sandbox/world/run.ts";
import { type Cgroup, cgroupOf, proportionalSet } from "./cgroup.ts";
import { benchLabel } from "./names.ts";

const SAMPLE_MS = 50;
/** Reading the proportional set walks page tables, so it is done less often. */
const PSS_EVERY = 8;
const RUN_LIMIT_MS = 10 * 60_000;
const PATIENCE_MS = 15_000;
const LOOK_MS = 1_000;
/** Share of all cores that others may use while a measurement begins. */
const QUIET = 0.1;

/** A container in which one command is measured. */
export interface Subject {
  readonly image: string;
  /** Arguments of `docker run`: limits, mounts, environment file, network. */
  readonly options: readonly string[];
  /** Run with `docker exec` beside a process that only sleeps. */
  readonly command: readonly string[];
}

export interface Measured {
  /** Wall clock, seconds. */
  readonly wall: number;
  /** CPU of the container's processes, seconds. */
  readonly cpu: number;
  /** CPU of the database server meanwhile, seconds. */
  readonly serverCpu: number;
  /** CPU of the S3 service meanwhile, seconds. On one machine it takes its share of the cores. */
  readonly storeCpu: number;
  /** CPU that the rest of the machine took meanwhile, seconds: what makes the wall clock doubtful. */
  readonly othersCpu: number;
  readonly memory: PeakMemory;
  /** Size of the container's writable layer afterwards, bytes. */
  readonly writable: number;
  readonly stdout: string;
}

/** Highest values seen, bytes. */
export interface PeakMemory {
  /** Anonymous memory, memory file systems and kernel memory together. */
  readonly held: number;
  readonly anonymous: number;
  readonly kernel: number;
  /** Proportional set of all processes; undefined where this user may not look. */
  readonly pss: number | undefined;
}

/** The accounts of what the measured programs talk to. */
export interface Services {
  readonly server: Cgroup;
  readonly store: Cgroup;
}

/**
 * Runs a command in a new container and takes the kernel's account of it. The container is removed.
 * @throws Problem when the command fails
 */
export async function measure(subject: Subject, services: Services): Promise<Measured> {
  const { name, cgroup } = await startIdle(subject);
  try {
    await untilQuiet(PATIENCE_MS);
    const stop = new AbortController();
    const sampling = samplePeak(cgroup, stop.signal);
    const before = spent(cgroup, services);
    const started = performance.now();
    const { stdout } = await docker(["exec", name, ...subject.command], {
      timeoutMs: RUN_LIMIT_MS,
    }).finally(() => stop.abort());
    const wall = (performance.now() - started) / 1000;
    const after = spent(cgroup, services);
    const [cpu, serverCpu, storeCpu] = [
      after.cpu - before.cpu,
      after.serverCpu - before.serverCpu,
      after.storeCpu - before.storeCpu,
    ];
    return {
      ...{ wall, cpu, serverCpu, storeCpu },
      othersCpu: Math.max(0, after.busy - before.busy - cpu - serverCpu - storeCpu),
      memory: await sampling,
      writable: await writableBytes(name),
      stdout,
    };
  } finally {
    await removeContainer(name);
  }
}

/** Memory of a container that waits, once it has settled, bytes. */
export async function measureIdle(
  image: string,
  options: readonly string[],
  settleMs: number,
): Promise<PeakMemory> {
  const name = await start(image, options, []);
  try {
    await sleep(settleMs);
    const stop = new AbortController();
    const sampling = samplePeak(await accountOf(name), stop.signal);
    await sleep(2_000);
    stop.abort();
    return await sampling;
  } finally {
    await removeContainer(name);
  }
}

/** The kernel's account of a running container. */
export async function accountOf(container: string): Promise<Cgroup> {
  const { stdout } = await docker(["inspect", "--format", "{{.State.Pid}}", container]);
  return cgroupOf(Number(stdout));
}

/** Starts a container of the bench's own, which carries its label. Returns its name. */
export async function start(
  image: string,
  options: readonly string[],
  command: readonly string[],
): Promise<string> {
  const run = ["run", "--detach", "--label", benchLabel, ...options, image, ...command];
  const { stdout }: RunResult = await docker(run);
  return stdout.trim();
}

async function startIdle({ image, options }: Subject) {
  const name = await start(image, options, ["sleep", "infinity"]);
  return { name, cgroup: await accountOf(name) };
}

function spent(tool: Cgroup, { server, store }: Services) {
  return {
    cpu: tool.cpuSeconds(),
    serverCpu: server.cpuSeconds(),
    storeCpu: store.cpuSeconds(),
    busy: busySeconds(),
  };
}

async function writableBytes(name: string): Promise<number> {
  const format = ["--size", "--format", "{{.SizeRw}}"];
  return Number((await docker(["container", "inspect", ...format, name])).stdout);
}

async function samplePeak(cgroup: Cgroup, signal: AbortSignal): Promise<PeakMemory> {
  let [held, anonymous, kernel] = [0, 0, 0];
  let pss: number | undefined;
  for (let turn = 0; !signal.aborted; turn += 1) {
    const now = cgroup.memory();
    held = Math.max(held, now.anonymous + now.shared + now.kernel);
    anonymous = Math.max(anonymous, now.anonymous);
    kernel = Math.max(kernel, now.kernel);
    if (turn % PSS_EVERY === 0) {
      const found = proportionalSet(cgroup.pids());
      if (found !== undefined) pss = Math.max(pss ?? 0, found);
    }
    await sleep(SAMPLE_MS);
  }
  return { held, anonymous, kernel, pss };
}

/** CPU time that the whole machine has worked since its start, seconds. */
function busySeconds(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? "";
  const [user, nice, system, , , irq, softirq] = line.split(" ").map(Number);
  const ticks = [user, nice, system, irq, softirq].reduce<number>((sum, t) => sum + (t ?? 0), 0);
  return ticks / 100;
}

/**
 * Waits until the machine does next to nothing, so that a measurement is not somebody else's. Gives up after the
 * patience; how much others took is recorded with each measurement.
 */
async function untilQuiet(patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  do {
    const before = busySeconds();
    await sleep(LOOK_MS);
    const share = ((busySeconds() - before) * 1000) / LOOK_MS / cpus().length;
    if (share < QUIET) return;
  } while (performance.now() < deadline);
}
