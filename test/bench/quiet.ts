import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 1_000;
/** Share of all cores that others may use while a measurement begins. */
const QUIET = 0.1;

/** CPU time that the whole machine has worked since its start, seconds. */
export function busySeconds(): number {
  const line = /^cpu +(.*)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? "";
  const [user, nice, system, , , irq, softirq] = line.split(" ").map(Number);
  const ticks = [user, nice, system, irq, softirq].reduce<number>((sum, t) => sum + (t ?? 0), 0);
  return ticks / 100;
}

/**
 * Waits until the machine does next to nothing, so that a measurement is not somebody else's. Gives up after the
 * patience; how much others took is recorded with each measurement.
 */
export async function untilQuiet(patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  do {
    const before = busySeconds();
    await sleep(LOOK_MS);
    const share = ((busySeconds() - before) * 1000) / LOOK_MS / cpus().length;
    if (share < QUIET) return;
  } while (performance.now() < deadline);
}
