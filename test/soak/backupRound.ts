import { setTimeout as sleep } from "node:timers/promises";
import type { Outcome, Run } from "./agent.ts";
import { type Course, endedOf, LIMIT_MS } from "./course.ts";
import { type Ended, judgeBackup, type Left, NOT_STARTED, type Wrong } from "./judge.ts";
import type { Round } from "./rounds.ts";
import { prepare, reach } from "./strike.ts";
import type { Place } from "./world.ts";

/** A line of the log. */
export interface Played {
  readonly round: Round;
  readonly hit: boolean;
  readonly ended: Ended;
  readonly elapsedMs: number;
  readonly next: Ended;
  readonly after: Left;
  readonly afterNext: Left;
  /** What an application that connects again and again has met during a restore, by SQLSTATE. */
  readonly connections: Readonly<Record<string, number>>;
  /** Services that did not write after the fault, and were made anew. */
  readonly renewed: readonly Place[];
  readonly wrong: readonly Wrong[];
}

/** The packets of a lost host get no answer: the server notices it within two minutes. */
const LOST_WITHIN_MS = 150_000;
const TRY_AGAIN_AFTER_MS = 5_000;

/** A backup, with its fault, and the one after it. */
export async function playBackup(
  course: Course,
  round: Round,
  log: (line: string) => void,
): Promise<Played> {
  const { world } = course;
  const { encryption, databases, copy } = round;
  const env = world.environment(encryption, round);
  const places = copy ? ["first", "copy"] : ["first"];
  for (const database of databases) await world.server.mark(database, `backup ${round.number}`);
  const before = await course.debris();

  const { outcome, hit } = await struck(course, round, () =>
    world.agent.begin(["backup"], env, encryption),
  );
  const renewed = await world.mend();
  // What a service has lost with its data is nobody's fault here.
  const stored = renewed.length === 0 ? await course.collect(encryption) : [];
  const after = await course.left(before);
  await course.renew(renewed, log);

  const next = await nextRun(round, () =>
    world.agent.run(["backup"], world.environment(encryption, round), encryption, LIMIT_MS),
  );
  course.tookRound(round, next);
  const nextStored = await course.collect(encryption);
  const afterNext = await course.left(before);
  const verified = round.verify
    ? endedOf(
        await world.agent.run(
          ["verify", "latest", "--database", databases[0] ?? ""],
          world.environment(encryption, round),
          encryption,
          LIMIT_MS,
        ),
      )
    : null;
  const seen = {
    ...{ hit, ended: endedOf(outcome), stderr: outcome.stderr, next: endedOf(next) },
    ...{ places, stored, nextStored, after, afterNext, verified },
  };
  // Without its service's data a backup cannot be judged; its end and the next run can.
  const judged = renewed.length === 0 ? seen : { ...seen, places: [] };
  return {
    ...{ round, hit, ended: seen.ended, elapsedMs: outcome.elapsedMs, next: seen.next },
    ...{ after, afterNext, connections: {}, renewed, wrong: judgeBackup(round, judged) },
  };
}

/** Runs a command, with the round's fault at its moment. */
export async function struck(
  course: Course,
  round: Round,
  begin: () => Promise<Run>,
): Promise<{ outcome: Outcome; hit: boolean }> {
  const { world } = course;
  const strike = await prepare(world, round);
  const run = await begin();
  let hit = false;
  if (await reach(world, run, round.moment, course.usualMs(round))) hit = await strike.land();
  else strike.disarm();
  const timer = setTimeout(() => run.giveUp(), LIMIT_MS);
  const outcome = await run.ended;
  clearTimeout(timer);
  if (!hit) course.tookRound(round, outcome);
  // The container was on its way out before the run had begun in it: Docker itself said no.
  return { outcome, hit: hit && outcome.code !== NOT_STARTED };
}

/** The next run, which has to succeed; after a lost host within the time in which the server notices it. */
export async function nextRun(round: Round, run: () => Promise<Outcome>): Promise<Outcome> {
  const started = performance.now();
  for (;;) {
    const outcome = await run();
    const waits = round.fault === "host-lost" && performance.now() - started < LOST_WITHIN_MS;
    if (outcome.code === 0 || !waits) return outcome;
    await sleep(TRY_AGAIN_AFTER_MS);
  }
}
