import { SCRATCH } from "./agent.ts";
import { nextRun, type Played, struck } from "./backupRound.ts";
import { type Course, endedOf, isKept, LIMIT_MS } from "./course.ts";
import { judgeRestore } from "./judge.ts";
import type { Round } from "./rounds.ts";

/** As often as a busy application opens a connection. */
const CONNECT_EVERY_MS = 30;

/** A restore, with its fault, its undoing, and the restore after it. */
export async function playRestore(
  course: Course,
  round: Round,
  log: (line: string) => void,
): Promise<Played> {
  const { world } = course;
  const { server, agent } = world;
  const { encryption } = round;
  const [database = ""] = round.databases;
  const env = () => world.environment(encryption, round);
  const command = ["restore", "latest", "--yes", ...(round.scratch ? ["--scratch", SCRATCH] : [])];
  const markers = { old: `live ${round.number}`, new: course.newestMarker(encryption, database) };
  await server.mark(database, markers.old);
  const before = await course.debris();

  const application = server.watch(database, CONNECT_EVERY_MS);
  const { outcome, hit } = await struck(course, round, () =>
    agent.begin(command, env(), encryption),
  );
  const connections = await application.stop();
  const renewed = await world.mend();
  const live = await course.liveIs(database, markers);
  const after = await course.left(before);
  const [keptName] = (await server.others()).filter((name) => name.includes("_before_"));
  const isKeptWhole = async () =>
    keptName !== undefined && (await course.liveIs(database, markers, keptName)) === "old";
  const kept = live === "new" ? await isKeptWhole() : null;

  let undone = null;
  if (kept === true && keptName !== undefined) {
    const ended = endedOf(await agent.run(["undo", keptName, "--yes"], env(), "plain", LIMIT_MS));
    undone = { ...ended, live: await course.liveIs(database, markers) };
  }
  // A service that was made anew has other backups than the one that was to be restored.
  await course.renew(renewed, log);
  const expected = renewed.includes("first")
    ? course.newestMarker(encryption, database)
    : markers.new;
  const next = await nextRun(round, () => agent.run(command, env(), encryption, LIMIT_MS));
  course.tookRound(round, next);
  const nextLive = await course.liveIs(database, { old: markers.old, new: expected });
  const afterNext = await course.left(before);
  for (const name of await server.others()) {
    if (isKept(name)) await server.drop(name);
  }
  const seen = {
    ...{ hit, ended: endedOf(outcome), stderr: outcome.stderr, next: endedOf(next) },
    ...{ live, kept, undone, nextLive, after, afterNext },
    refusals: connections["3D000"] ?? 0,
  } as const;
  return {
    ...{ round, hit, ended: seen.ended, elapsedMs: outcome.elapsedMs, next: seen.next },
    ...{ after, afterNext, connections, renewed, wrong: judgeRestore(round, seen) },
  };
}
