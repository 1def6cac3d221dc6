import { docker } from "../../sandbox/host/docker.ts";
import { withSlowLink } from "./link.ts";
import { type Measured, measureIdle, type PeakMemory } from "./measure.ts";
import { benchLabel, names } from "./names.ts";
import type { Bench } from "./parts.ts";
import type { Backup, IncumbentBackup, IncumbentRestore, Tools } from "./tools.ts";

/** What was seen in each round; the sides take turns, so that a busy minute of the machine meets them all. */
export interface Rounds {
  readonly limits: Measured[];
  readonly backups: Backup[];
  /** Into a service that only swallows. */
  readonly swallowedBackups: Backup[];
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
/** No round begins after this, so that a slow machine ends in time too. */
const BUDGET_MS = 30 * 60_000;

/**
 * Runs all rounds one after the other; each measurement is told to `log`. What fails is told, and has no value then.
 */
export async function runRounds(
  { store, images }: Bench,
  tools: Tools,
  course: Course,
  log: (line: string) => void,
): Promise<Rounds> {
  const { database, small } = course;
  const began = performance.now();
  const seen = async <T extends Measured>(list: T[], what: string, work: Promise<T>) => {
    try {
      const run = await work;
      list.push(run);
      log(describe(what, run));
    } catch (error) {
      log(`  ${what}: failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const inRounds = async (what: string, work: (round: number) => Promise<void>) => {
    for (let round = 1; round <= course.rounds; round += 1) {
      if (round > 1 && performance.now() - began > BUDGET_MS) {
        log(`${what}: no more rounds, the time is up`);
        return;
      }
      log(`${what}, round ${round} of ${course.rounds}`);
      await work(round);
    }
  };
  const result: Rounds = {
    ...{ limits: [], backups: [], smallBackups: [], incumbentBackups: [] },
    ...{ swallowedBackups: [], slowBackups: [], slowIncumbentBackups: [] },
    ...{ restores: [], incumbentRestores: [], scratchRestores: [] },
    idle: await measureIdle(images.agent, tools.scheduled(database), SETTLE_MS),
  };
  log(`the waiting scheduler holds ${mebibytes(result.idle.held)}`);

  let bucket = "";
  await inRounds("backups", async (round) => {
    if (bucket !== "") await store.dropBucket(bucket);
    bucket = `round-${round}`;
    await store.makeBucket(bucket);
    await seen(result.limits, "pg_dump to nowhere", tools.limit(database));
    await seen(result.backups, "ours", tools.backup(database, bucket));
    await seen(result.swallowedBackups, "ours, into a sink", tools.swallowedBackup(database));
    await seen(result.incumbentBackups, "theirs", tools.incumbentBackup(database, bucket));
    await seen(result.smallBackups, "ours, a tenth", tools.backup(small, bucket));
  });
  await inRounds("restores", async () => {
    await seen(result.restores, "ours", tools.restore(database, bucket));
    await seen(result.incumbentRestores, "theirs", tools.incumbentRestore(bucket));
    const onScratch = withScratch(images.agent, (volume) =>
      tools.restore(database, bucket, volume),
    );
    await seen(result.scratchRestores, "ours, scratch volume", onScratch);
  });
  await store.dropBucket(bucket);
  await inRounds(`backups over ${course.slowLink} MiB/s`, async (round) => {
    const slow = `slow-${round}`;
    await store.makeBucket(slow);
    await withSlowLink(names.store, course.slowLink, async () => {
      await seen(result.slowBackups, "ours", tools.backup(database, slow));
      await seen(result.slowIncumbentBackups, "theirs", tools.incumbentBackup(database, slow));
    });
    await store.dropBucket(slow);
  });
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
  const { wall, cpu, serverCpu, storeCpu, othersCpu, memory } = run;
  const figures = [
    `${wall.toFixed(1)} s`,
    `CPU ${cpu.toFixed(1)} + server ${serverCpu.toFixed(1)}, S3 ${storeCpu.toFixed(1)}, others ${othersCpu.toFixed(1)}`,
    `peak ${mebibytes(memory.held)}`,
    ...(memory.pss === undefined ? [] : [`(PSS ${mebibytes(memory.pss)})`]),
  ];
  return `  ${what.padEnd(22)} ${figures.join("  ")}`;
}

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
