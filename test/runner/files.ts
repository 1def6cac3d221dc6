/** Runs the test files named on the command line in this process, prints what they say, and sends their score to the parent. */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { run } from "node:test";
import { spec } from "node:test/reporters";

export interface Score {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of this process and all that it started and waited for, seconds; absent where the system does not say. */
  readonly cpu?: number;
}

const score = { passed: 0, failed: 0, skipped: 0 };
const stream = run({ files: process.argv.slice(2), isolation: "none" });
stream.on("test:pass", (event) => {
  if (event.details.type === "suite") return;
  score[event.skip !== undefined || event.todo !== undefined ? "skipped" : "passed"] += 1;
});
stream.on("test:fail", (event) => {
  if (event.details.type !== "suite") score.failed += 1;
});
process.stdout.write(await text(stream.compose(spec())));

process.once("exit", () => {
  if (score.failed > 0) process.exitCode = 1;
  const cpu = cpuSeconds();
  process.send?.({ ...score, ...(cpu !== undefined && { cpu }) } satisfies Score);
});

/** Linux alone counts ended children for everyone to read: fields 14 to 17 of `/proc/self/stat`, in ticks of 10 ms (proc(5)). */
function cpuSeconds(): number | undefined {
  try {
    const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
  } catch {
    return undefined; // no Linux
  }
}
