/** `npm run soak`: random kills of real backups and restores, each judged by what is there afterwards. */
import { parseArgs } from "node:util";
import { Problem } from "../../common/problem.ts";
import { up } from "../../sandbox/commands/up.ts";
import { type Played, playBackup } from "./backupRound.ts";
import { Course } from "./course.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import { playRestore } from "./restoreRound.ts";
import { drawRound } from "./rounds.ts";
import { printSummary } from "./summary.ts";
import { SoakWorld } from "./world.ts";

const usage = `npm run soak [-- OPTIONS]
Runs backups and restores in the sandbox, breaks something in each at a random moment, and judges what is there afterwards. A line of
JSON for each round, a table at the end; exit code 1 when anything was wrong.
  --rounds N     how many rounds (default 20)
  --minutes N    ends after so many minutes, whatever --rounds says (default: no limit)
  --seed N       draws the same rounds again (default: a random one, which is printed)
  --from N       begins at this round of the seed (default 1)
  --only FAULT   only this fault; may be given several times: ${FAULT_NAMES.join(", ")}
  --keep         leaves the containers as they are, to be looked at; 'npm run sandbox down' removes them`;

/** Rounds after which old backups are taken out of the buckets. */
const THIN_OUT_EVERY = 40;
/** More such rounds mean that it is the soak which does not work. */
const MOST_NOT_JUDGED = 10;
const LARGEST_SEED = 2 ** 31;

const started = performance.now();
const log = (line: string) => {
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.error(`${seconds.padStart(5)} s  ${line}`);
};

let stopped = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    stopped = true;
    log(`${signal}: this round is the last one`);
  });
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof Problem)) throw error;
  console.error(`error: ${error.message}`);
  return 1;
});

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "20" },
      minutes: { type: "string" },
      seed: { type: "string" },
      from: { type: "string", default: "1" },
      only: { type: "string", multiple: true },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const rounds = number("rounds", values.rounds);
  const from = number("from", values.from);
  const minutes = values.minutes === undefined ? undefined : number("minutes", values.minutes);
  const seed =
    values.seed === undefined
      ? Math.floor(Math.random() * LARGEST_SEED)
      : number("seed", values.seed, 0);
  const only = values.only?.map(faultNamed);
  const deadline = minutes === undefined ? Number.POSITIVE_INFINITY : started + minutes * 60_000;
  log(`seed ${seed}`);

  const world = new SoakWorld(await up({ log }));
  const played: Played[] = [];
  let notJudged = 0;
  try {
    await world.start();
    const course = new Course(world);
    await course.prime(log);
    for (let n = from; n < from + rounds; n += 1) {
      if (stopped || performance.now() > deadline) break;
      const round = drawRound(seed, n, only);
      const play = round.subject === "backup" ? playBackup : playRestore;
      let result: Played;
      try {
        result = await play(course, round, log);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        // A part of the world that does not come back, such as a service whose own data a kill has broken: nothing can be judged.
        log(`round ${n} (${round.fault}) was not judged: ${error.message}`);
        notJudged += 1;
        if (notJudged > MOST_NOT_JUDGED) throw error;
        await course.renew(await world.mend(), log);
        await course.clean();
        continue;
      }
      played.push(result);
      console.log(JSON.stringify({ seed, ...result }));
      for (const { kind, what } of result.wrong) log(`round ${n}: ${kind}: ${what}`);
      if (result.wrong.length > 0) await course.clean();
      if (played.length % THIN_OUT_EVERY === 0) await course.thinOut();
    }
  } finally {
    if (values.keep) world.close();
    else await world.stop();
    console.log(
      `\nseed ${seed}\n${printSummary(played)}\n${notJudged} rounds could not be judged.`,
    );
  }
  return played.every(({ wrong }) => wrong.length === 0) ? 0 : 1;
}

function number(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= LARGEST_SEED) return value;
  throw new Problem(`--${name} ${text}: give a whole number from ${least} on.`);
}

function faultNamed(name: string): FaultName {
  const found = FAULT_NAMES.find((each) => each === name);
  if (found !== undefined) return found;
  throw new Problem(
    `--only ${name}: there is no such fault. Give one of ${FAULT_NAMES.join(", ")}.`,
  );
}
