/**
 * Runs the test files named on the command line in this process, prints what they say, and sends their scores to the parent.
 * After `--together` they come one after the other, each with a score of its own, sent when it has ended.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { loadNodeTest } from "./nodeTest.ts";
import { TOGETHER } from "./shared.ts";

const { run } = await loadNodeTest();
const { spec } = await import("node:test/reporters");

const REASON_LINES = 12;

export interface Score {
  /** Absent: of all files of this process. */
  readonly file?: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed, and why: said again at the end of a run, where it is looked for. */
  readonly failures: readonly string[];
  /** Of this process and all that it started and waited for, seconds; absent where the system does not say. */
  readonly cpu?: number;
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--together") {
  process.env[TOGETHER] = JSON.stringify(rest);
  runFiles([join(import.meta.dirname, "together.ts")], true);
} else runFiles(process.argv.slice(2), false);

function runFiles(files: readonly string[], together: boolean): void {
  const nothing = () => ({ passed: 0, failed: 0, skipped: 0, failures: [] as string[] });
  let score = nothing();
  let failed = false;
  let cpuBefore = 0;
  const send = (file?: string) => {
    const cpu = cpuSeconds();
    const sent: Score = {
      ...score,
      ...(file !== undefined && { file }),
      ...(cpu !== undefined && { cpu: cpu - cpuBefore }),
    };
    process.send?.(sent);
    failed ||= score.failed > 0;
    score = nothing();
    cpuBefore = cpu ?? 0;
  };
  const stream = run({ files: [...files], isolation: "none" });
  stream.on("test:pass", (event) => {
    if (event.details.type !== "suite") {
      score[event.skip !== undefined || event.todo !== undefined ? "skipped" : "passed"] += 1;
    } else if (together && event.nesting === 0) send(event.name);
  });
  stream.on("test:fail", (event) => {
    const { type, error } = event.details;
    // A suite fails with its tests, which are counted, or by itself: a hook threw, or the file cannot be loaded.
    const byItself = (error as { failureType?: string }).failureType !== "subtestsFailed";
    if (type !== "suite" || byItself) {
      score.failed += 1;
      const place = event.file === undefined ? "" : ` (${relative(process.cwd(), event.file)})`;
      score.failures.push(`${event.name}${place}\n${reasonOf(error)}`);
    }
    if (together && type === "suite" && event.nesting === 0) send(event.name);
  });
  stream.compose(spec()).pipe(process.stdout);
  process.once("exit", () => {
    if (!together || score.failed + score.passed > 0) send();
    if (failed) process.exitCode = 1;
  });
}

/** The first lines of what was thrown, indented: the whole stands where the test ran. */
function reasonOf(error: Error): string {
  const { cause } = error;
  const { message } = cause instanceof Error ? cause : error;
  return message.split("\n").slice(0, REASON_LINES).join("\n").replaceAll(/^/gm, "    ");
}

/** Linux alone counts ended children for everyone to read: fields 14 to 17 of `/proc/self/stat`, in ticks of 10 ms (proc(5)). */
function cpuSeconds(): number | undefined {
  try {
    const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
  } catch {
    return undefined; // no Linux
  }
}
