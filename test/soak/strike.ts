/** How each fault is done to the world, and the waiting for its moment. */
import { setTimeout as sleep } from "node:timers/promises";
import { docker } from "../../sandbox/host/docker.ts";
import { killTrigger, type Run, type Trigger } from "./agent.ts";
import { type FaultName, PROGRAMS, type Stage } from "./faults.ts";
import type { Moment, Round } from "./rounds.ts";
import type { Session } from "./server.ts";
import { connect, type SoakWorld } from "./world.ts";

const LOOK_EVERY_MS = 10;
/** A program may not have been started yet when its moment comes. */
const PROGRAM_WITHIN_S = 3;
/** `MainThread` is how newer versions of Node name it. */
const NODE = "node|MainThread";

/** A fault that is ready to be done without delay. */
export interface Strike {
  /** Does it, for as long as it lasts. @returns whether it found its target */
  land(): Promise<boolean>;
  disarm(): void;
}

/** Makes everything ready before the run begins: what has to be started first would come too late. */
export async function prepare(world: SoakWorld, round: Round): Promise<Strike> {
  const { agent, server, places, network } = world;
  const { fault, lastsMs, pick } = round;
  const program = PROGRAMS[fault];
  if (program !== undefined) {
    return triggered(
      await agent.signalTrigger("KILL", program.name, program.word, PROGRAM_WITHIN_S),
    );
  }
  const on = (container: string, ...command: string[]) => docker([...command, container]);
  const paused = (container: string) => async () => {
    await on(container, "pause");
    await sleep(lastsMs);
    await on(container, "unpause");
  };
  const killed = (container: string) => async () => {
    await on(container, "kill");
    await sleep(lastsMs);
    await on(container, "start");
  };
  const cut = () => docker(["network", "disconnect", network, agent.container]);
  switch (fault) {
    case "agent-kill":
    case "agent-term": {
      const signal = fault === "agent-kill" ? "KILL" : "TERM";
      return triggered(await agent.signalTrigger(signal, NODE, `agent[.]cjs ${round.subject}`, 0));
    }
    case "server-crash": {
      const trigger = await killTrigger(server.container);
      return {
        land: async () => {
          const session = oneOf(await server.sessions(), pick);
          if (session !== undefined) return trigger.pull(String(session.pid));
          trigger.disarm();
          return false;
        },
        disarm: () => trigger.disarm(),
      };
    }
    case "backend-end":
      return plain(async () => {
        const session = oneOf(await server.sessions(), pick);
        if (session === undefined) return false;
        const sql = "select pg_terminate_backend($1) as ended";
        return (await server.query("postgres", sql, [session.pid]))[0]?.["ended"] === true;
      });
    case "container-kill":
      return plain(() => on(agent.container, "kill"));
    case "container-stop":
      return plain(() => on(agent.container, "stop"));
    case "server-restart":
      return plain(killed(server.container));
    case "server-pause":
      return plain(paused(server.container));
    case "network-cut":
      return plain(async () => {
        await cut();
        await sleep(lastsMs);
        await connect(network, agent.container);
      });
    case "host-lost":
      return plain(async () => {
        await cut();
        await on(agent.container, "kill");
        await connect(network, agent.container);
      });
    case "store-kill":
      return plain(killed(places.first.container));
    case "copy-kill":
      return plain(killed(places.copy.container));
    case "store-pause":
      return plain(paused(places.first.container));
    default:
      throw new Error(`nobody knows how to do ${fault satisfies FaultName}`);
  }
}

const triggered = (trigger: Trigger): Strike => ({
  land: () => trigger.pull(),
  disarm: () => trigger.disarm(),
});

/** A fault that always finds its target, unless it says false. */
const plain = (work: () => Promise<unknown>): Strike => ({
  land: async () => (await work()) !== false,
  disarm: () => {},
});

function oneOf<T>(list: readonly T[], pick: number): T | undefined {
  return list[Math.floor(pick * list.length)];
}

/**
 * Waits until a run has come to a moment.
 * @param usualMs how long such a run takes
 * @returns false: the run ended first
 */
export async function reach(
  world: SoakWorld,
  run: Run,
  moment: Moment,
  usualMs: number,
): Promise<boolean> {
  const over = run.ended.then(() => {});
  if ("share" in moment) {
    await Promise.race([sleep(moment.share * usualMs), over]);
    return run.alive;
  }
  while (run.alive) {
    if (isAt(moment.stage, run, await world.server.sessions())) {
      await Promise.race([sleep(moment.delayMs), over]);
      return run.alive;
    }
    await sleep(LOOK_EVERY_MS);
  }
  return false;
}

function isAt(stage: Stage, { events }: Run, sessions: readonly Session[]): boolean {
  const step = (name: string) =>
    events.some((event) => event.event === "progress" && event.step === name);
  const session = (program: RegExp, query: RegExp) =>
    sessions.some((each) => program.test(each.program) && query.test(each.query));
  switch (stage) {
    case "dump":
      return session(/pg_dump\b/, /^COPY/);
    case "globals":
      return session(/pg_dumpall/, /./);
    case "upload":
      return step("upload");
    case "stored":
      return events.some(({ event }) => event === "backup");
    case "create":
      return sessions.some(
        (each) => each.state === "active" && /^CREATE DATABASE/.test(each.query),
      );
    case "load":
      return session(/pg_restore/, /^COPY/);
    case "compare":
      return step("compare");
    case "swap":
      return sessions.some((each) => /^ALTER DATABASE .* RENAME/.test(each.query));
  }
}
