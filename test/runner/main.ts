/**
 * Runs the tests, four files at a time: the journeys one after the other, because they share the sandbox, and beside them
 * all others, first those journeys that have a sandbox of their own (`// tag: second sandbox`). Unit tests share three
 * processes, the others have one each. What a file prints appears when it has ended.
 *
 * Words on the command line narrow it: `npm test -- storage` runs the files whose path contains the word or that carry it as
 * a tag (`// tag: cloud`). `--unit` takes unit tests alone, `--times` ends with a table of the twenty dearest files and what
 * each lane did when.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Score } from "./files.ts";
import { findTests, kindOf, loadsPulumi, tagsOf } from "./kinds.ts";
import { forgetSecondSandbox, SECOND, setUp } from "./setUp.ts";

const LIMIT_MS = 20 * 60_000;
const TOGETHER_LIMIT_MS = 2 * LIMIT_MS;
/**
 * Lanes beside the journeys. Three keep two cores busy, nineteen parts in twenty: half of a file's time it waits, for a server to
 * start, a schedule to come, a time limit to pass. With two, a quarter of the machine was idle.
 */
const OTHER_LANES = 3;
/** Go programs, Pulumi's engine among them, live for a second, of which a tenth went into collecting garbage. */
const GO = { GOGC: "400" } as const;
const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    unit: { type: "boolean", default: false },
    times: { type: "boolean", default: false },
  },
});

const files = findTests(words).filter((file) => !options.unit || kindOf(file) === "unit");
if (files.length === 0) {
  const tags = [...new Set(findTests([]).flatMap(tagsOf))].join(", ");
  console.error(
    `no test file matches ${words.join(" ")}; choose from the folders of test/ and the tags (${tags})`,
  );
  process.exit(2);
}

/** Files for one process. */
interface Batch {
  readonly files: readonly string[];
  /** To be done before. */
  readonly prepare?: () => void;
  /** One after the other, and told one by one. */
  readonly isTogether?: boolean;
  /** Beside that of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lower than the journeys', which are the longest lane and so go first wherever two want a core. */
  readonly isPatient: boolean;
  /** Needs what `scripts/setup` brings. */
  readonly isWorld: boolean;
}

const unit = files.filter((file) => kindOf(file) === "unit");
const world = files.filter((file) => kindOf(file) === "world");
const isJourney = (file: string) => file.startsWith("test/journeys/");
const isApart = (file: string) => tagsOf(file).includes("second sandbox");
const inOrder = world.filter(isJourney).toSorted((a, b) => place(a) - place(b));
const alone = (file: string): Batch => ({ files: [file], isPatient: true, isWorld: true });
/** Journeys share a process, in which the stack is opened once. */
const together = (files: readonly string[], more: Partial<Batch>): Batch[] =>
  files.length === 0
    ? []
    : [{ ...{ files, isTogether: true, isPatient: false, isWorld: true }, ...more }];
const journeys = together(
  inOrder.filter((file) => !isApart(file)),
  {},
);
const apart = together(inOrder.filter(isApart), {
  isPatient: true,
  env: SECOND,
  prepare: forgetSecondSandbox,
});
const others = world.filter((file) => !isJourney(file)).map(alone);
// Pulumi is loaded once; of the others each process has every second one, so that no room is all in one.
const light = unit.filter((file) => !loadsPulumi(file));
const shares: Batch[] = [
  unit.filter(loadsPulumi),
  light.filter((_, i) => i % 2 === 0),
  light.filter((_, i) => i % 2 === 1),
]
  .filter((files) => files.length > 0)
  .map((files) => ({ files, isPatient: true, isWorld: false }));

/** The tags `first` and `last` say when a journey comes; each of those files gives its reason. */
function place(file: string): number {
  const tags = tagsOf(file);
  return tags.includes("first") ? -1 : tags.includes("last") ? 1 : 0;
}

interface Row extends Score {
  readonly name: string;
  readonly wall: number;
  /** Seconds since the first lane began. */
  readonly from: number;
  readonly lane: number;
}
const rows: Row[] = [];
const begin = performance.now();

async function runBatch(batch: Batch, lane: number): Promise<void> {
  const { files, env, isPatient, isTogether = false } = batch;
  let started = performance.now();
  const words = isTogether ? ["--together", ...files] : files;
  const child = fork(join(import.meta.dirname, "files.ts"), words, {
    env: { ...GO, ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    timeout: isTogether ? TOGETHER_LIMIT_MS : LIMIT_MS,
    killSignal: "SIGKILL",
  });
  if (child.pid !== undefined && isPatient) setPriority(child.pid, 5);
  const told: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => told.push(text));
  }
  const tell = () => process.stdout.write(told.splice(0).join(""));
  const left = new Set(files);
  let failures = 0;
  const note = (score: Score, name: string) => {
    const [from, wall] = [started - begin, performance.now() - started];
    rows.push({ ...score, name, wall: wall / 1000, from: from / 1000, lane });
    failures += score.failed;
    started = performance.now();
  };
  child.on("message", (message) => {
    const score = message as Score;
    const ended = score.file === undefined ? [...left] : [score.file];
    for (const file of ended) left.delete(file);
    note(score, ended.length === 1 ? (ended[0] ?? "") : `${ended.length} unit files`);
    if (isTogether) tell();
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  tell();
  if (left.size === 0 && (code === 0 || failures > 0)) return;
  const name = [...(left.size > 0 ? left : files)].join(" ");
  console.log(`✖ ended with ${signal ?? `exit code ${code}`}: ${name}`);
  note({ passed: 0, failed: 1, skipped: 0, failures: [name] }, name);
}

/** The machine, made ready while unit tests run. */
const ready = world.length > 0 ? setUp() : true;

/** Takes batch after batch, from the first list as long as it has one. */
async function runLane(lane: number, ...lists: Batch[][]): Promise<void> {
  for (;;) {
    const batch = lists.find((list) => list.length > 0)?.shift();
    if (batch === undefined || (batch.isWorld && !(await ready))) return;
    batch.prepare?.();
    await runBatch(batch, lane);
  }
}

await Promise.all([
  // With `--unit` there are no journeys, and each lane has its share.
  runLane(0, journeys, shares, others),
  runLane(1, shares, apart, others),
  ...Array.from({ length: OTHER_LANES - 1 }, (_, i) => runLane(i + 2, shares, others)),
]);
if (!(await ready)) {
  console.log("✖ scripts/setup could not bring what the other tests need; its lines say what");
  const failures = ["scripts/setup"];
  const score = { passed: 0, failed: 1, skipped: 0, failures };
  rows.push({ ...score, name: "scripts/setup", wall: 0, from: 0, lane: 0 });
}

if (options.times) {
  console.log(`\n${"CPU s".padStart(8)} ${"wall s".padStart(8)} ${"tests".padStart(6)}`);
  const cost = (row: Row) => row.cpu ?? row.wall;
  for (const row of rows.toSorted((a, b) => cost(b) - cost(a)).slice(0, 20)) {
    const cells = [row.cpu?.toFixed(1) ?? "", row.wall.toFixed(1)].map((text) => text.padStart(8));
    console.log(`${cells.join(" ")} ${String(row.passed + row.failed).padStart(6)}  ${row.name}`);
  }
  const total = rows.reduce((sum, { cpu = 0 }) => sum + cpu, 0);
  console.log(`${total.toFixed(1).padStart(8)}                  all ${rows.length}`);
  for (let lane = 0; lane <= OTHER_LANES; lane += 1) {
    console.log(`\nlane ${lane}`);
    for (const { from, wall, cpu, name } of rows.filter((row) => row.lane === lane)) {
      const cells = [from, from + wall, cpu ?? 0].map((value) => value.toFixed(0).padStart(5));
      console.log(`${cells.join(" ")}  ${name}`);
    }
  }
}
const failures = rows.flatMap((row) => row.failures);
if (failures.length > 0)
  console.log(`\nFailed:\n${failures.map((text) => `✖ ${text}`).join("\n")}`);
const sum = (key: "passed" | "failed" | "skipped") =>
  rows.reduce((total, row) => total + row[key], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exit(sum("failed") === 0 ? 0 : 1);
