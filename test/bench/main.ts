/** `npm run bench`: ours against the common image's own steps, on the same data, in the same run. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Problem } from "../../common/problem.ts";
import { up } from "../../sandbox/commands/up.ts";
import { readWorld, type World } from "../../sandbox/world/world.ts";
import { printFigures } from "./figures.ts";
import { type Bench, sizeOf, startBench, stopBench, versionIn } from "./parts.ts";
import { type Course, type Rounds, runRounds } from "./rounds.ts";
import { Tools } from "./tools.ts";
import { judge, shareOfOthers } from "./verdict.ts";

const usage = `npm run bench [-- --quick] [-- --keep]
  --quick   small data, one round: whether everything works, not how fast it is; writes no results
  --rounds  how often each thing is measured; the middle value counts (default 3, quick 1)
  --keep    leaves the data and the images for the next run`;

/** Share of the machine that others may take before the result counts as doubtful. */
const NOISE = 0.1;
const resultsFile = join(import.meta.dirname, "results.json");
const started = performance.now();
const log = (line: string) => {
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${seconds.padStart(5)} s  ${line}`);
};

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => stopping.abort(new Problem(`${signal}: the bench was stopped.`)));
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof Problem)) throw error;
  console.error(`error: ${error.message}`);
  return 1;
});

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      rounds: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 9) {
    throw new Problem(`--rounds ${values.rounds}: give a whole number from 1 to 9.`);
  }
  const world = await readyWorld();
  const interrupted = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener("abort", () => reject(stopping.signal.reason));
  });
  try {
    return await Promise.race([compare(world, values.quick, rounds), interrupted]);
  } finally {
    await stopBench(values.keep);
  }
}

async function compare(world: World, quick: boolean, rounds: number): Promise<number> {
  const share = quick ? 0.06 : 1;
  const course: Course = {
    database: "app",
    small: "app_tenth",
    slowLink: 40,
    rounds,
  };
  const sizes = [
    { name: course.database, share },
    { name: course.small, share: share / 10 },
  ];
  const bench = await startBench(world, sizes, log);
  try {
    const seen = await runRounds(bench, new Tools(bench), course, log);
    const figures = judge(seen);
    const others = shareOfOthers(seen, cpus().length);
    console.log(`\n${printFigures(figures)}\n`);
    if (others > NOISE) {
      const percent = (others * 100).toFixed(0);
      log(
        `doubtful: other programs took ${percent} % of the machine; run it again when it is idle`,
      );
    }
    const missed = figures.filter((figure) => figure.verdict === "missed");
    if (quick) {
      log("a quick run judges nothing: the data is too small for its times to mean anything");
      return 0;
    }
    const facts = await machineFacts(bench, course);
    writeFileSync(
      resultsFile,
      `${JSON.stringify({ ...facts, othersShare: others, figures, rounds: rawRounds(seen) }, null, 2)}\n`,
    );
    log(`written to ${resultsFile}`);
    for (const figure of missed) log(`missed: ${figure.name}`);
    return missed.length === 0 ? 0 : 1;
  } finally {
    bench.store.close();
  }
}

/** Every single measurement, without what the programs printed. */
function rawRounds(rounds: Rounds) {
  return JSON.parse(JSON.stringify(rounds, (key, value) => (key === "stdout" ? undefined : value)));
}

async function readyWorld(): Promise<World> {
  try {
    return readWorld();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    log("the sandbox is not up: starting it for its images");
    return up({ log });
  }
}

async function machineFacts({ images }: Bench, course: Course) {
  return {
    date: new Date().toISOString(),
    machine: {
      cores: cpus().length,
      processor: cpus()[0]?.model ?? "unknown",
      memoryBytes: totalmem(),
    },
    data: {
      databaseBytes: await sizeOf(course.database),
      tenthBytes: await sizeOf(course.small),
      rounds: course.rounds,
      slowLinkMebibytesPerSecond: course.slowLink,
    },
    versions: {
      pgDump: await versionIn(images.agent, "pg_dump", "--version"),
      node: await versionIn(images.agent, "node", "--version"),
      zstd: await versionIn(images.agent, "zstd", "--version"),
      gpg: await versionIn(images.incumbent, "gpg", "--version"),
      awsCli: await versionIn(images.incumbent, "aws", "--version"),
    },
    seconds: Math.round((performance.now() - started) / 1000),
  };
}
