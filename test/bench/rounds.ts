import { docker } from "../../sandbox/docker.ts";
import { withSlowLink } from "./link.ts";
import { type Measured, measureIdle, type PeakMemory } from "./measure.ts";
import { benchLabel, names } from "./names.ts";
import type { Bench } from "./parts.ts";
import type { Backup, IncumbentBackup, IncumbentRestore, Tools } from "./tools.ts";

/** What was seen in each round; the sides take turns, so that a busy minute of the machine meets them all. */
export interface Rounds {
  readonly limits: Measured[];
  readonly backups: Backup[];
  /** Of the database with a tenth of the size. */
  readonly smallBackups: Backup[];
  readonly incumbentBackups: IncumbentBackup[];
  readonly slowBackups: Backup[];
  readonly slowIncumbentBackups: IncumbentBackup[];
  readonly restores: Measured[];
  readonly incumbentRestores: IncumbentRestore[];
  readonly scratchRestores: Measured[];
  readonly idle: PeakMemory;
}

/** How many rounds of each kind, and on what. */
export interface Course {
  readonly database: string;
  readonly small: string;
  readonly rounds: number;
  /** Speed of the slow link, MiB/s. */
  readonly slowLink: number;
}

const SETTLE_MS = 8_000;

/** Runs all rounds one after the other; each measurement is told to `log`. */
export async function runRounds(
  { store, images }: Bench,
  tools: Tools,
  course: Course,
  log: (line: string) => void,
): Promise<Rounds> {
  const seen = <T extends Measured>(list: T[], what: string, run: T): T => {
    list.push(run);
    log(describe(what, run));
    return run;
  };
  const { database, small } = course;
  const result: Rounds = {
    ...{ limits: [], backups: [], smallBackups: [], incumbentBackups: [] },
    ...{ slowBackups: [], slowIncumbentBackups: [] },
    ...{ restores: [], incumbentRestores: [], scratchRestores: [] },
    idle: await measureIdle(images.agent, tools.scheduled(database), SETTLE_MS),
  };
  log(`the waiting scheduler holds ${mebibytes(result.idle.held)}`);

  for (let round = 1; round <= course.rounds; round += 1) {
    const bucket = `round-${round}`;
    await store.makeBucket(bucket);
    log(`backups, round ${round} of ${course.rounds}`);
    seen(result.limits, "pg_dump to nowhere", await tools.limit(database));
    seen(result.backups, "ours", await tools.backup(database, bucket));
    seen(result.incumbentBackups, "theirs", await tools.incumbentBackup(database, bucket));
    seen(result.smallBackups, "ours, a tenth", await tools.backup(small, bucket));
    if (round < course.rounds) await store.dropBucket(bucket);
  }
  const last = `round-${course.rounds}`;

  for (let round = 1; round <= course.rounds; round += 1) {
    log(`restores, round ${round} of ${course.rounds}`);
    seen(result.restores, "ours, streamed", await tools.restore(database, last));
    seen(result.incumbentRestores, "theirs", await tools.incumbentRestore(last));

    const run = await withScratch(images.agent, (volume) => tools.restore(database, last, volume));
    seen(result.scratchRestores, "ours, scratch volume", run);
  }
  await store.dropBucket(last);

  for (let round = 1; round <= course.rounds; round += 1) {
    const bucket = `slow-${round}`;
    await store.makeBucket(bucket);
    log(`backups over ${course.slowLink} MiB/s, round ${round} of ${course.rounds}`);
    await withSlowLink(names.store, course.slowLink, async () => {
      seen(result.slowBackups, "ours", await tools.backup(database, bucket));
      seen(result.slowIncumbentBackups, "theirs", await tools.incumbentBackup(database, bucket));
    });
    await store.dropBucket(bucket);
  }
  return result;
}

/** A volume for one restore, on the disk as a user's would be. */
async function withScratch<T>(image: string, work: (volume: string) => Promise<T>): Promise<T> {
  await docker(["volume", "create", "--label", benchLabel, names.scratch]);
  try {
    await openToAll(names.scratch, image);
    return await work(names.scratch);
  } finally {
    await docker(["volume", "rm", "--force", names.scratch]);
  }
}

/** A new volume belongs to root, and the agent is somebody else. */
async function openToAll(volume: string, image: string): Promise<void> {
  const asRoot = ["--user=root", "--label", benchLabel, "--volume", `${volume}:/scratch`];
  await docker(["run", "--rm", ...asRoot, image, "chmod", "1777", "/scratch"]);
}

function describe(what: string, run: Measured): string {
  const { wall, cpu, serverCpu, memory } = run;
  const figures = [
    `${wall.toFixed(1)} s`,
    `CPU ${cpu.toFixed(1)} + ${serverCpu.toFixed(1)} s`,
    `peak ${mebibytes(memory.held)}`,
    ...(memory.pss === undefined ? [] : [`(PSS ${mebibytes(memory.pss)})`]),
  ];
  return `  ${what.padEnd(22)} ${figures.join("  ")}`;
}

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
