import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Problem } from "../../common/problem.ts";
import { connect, lossOf } from "../postgres/connection.ts";
import { isInTheWay } from "../postgres/tableLocks.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Pipeline, Program } from "../streams/process.ts";
import { ToolWarnings } from "../streams/toolWarnings.ts";
import type { DumpPlan } from "./dumpPlan.ts";
import { startDump } from "./pgDump.ts";

/** How often it is looked whether somebody waits for us while pg_dump locks its tables. */
const LOOK_EVERY_MS = 300;
/** pg_dump waits for its locks for a minute at most, and then it fails. */
const LOCKED_WITHIN_MS = 70_000;
const ATTEMPTS = 5;

/** A dump that has its tables locked. */
export interface StartedDump {
  readonly plan: DumpPlan;
  readonly program: Program | Pipeline;
  /** What it warns of, and others of the run. */
  readonly warnings: ToolWarnings;
}

/**
 * Plans a dump and starts it. Until pg_dump has locked the tables itself, somebody who changes one waits for us, and pg_dump
 * for them: then ours are given up, with pg_dump, and it all begins anew with another snapshot, so that the application waits
 * for a second at most. Another snapshot, because a table that we no longer hold may be emptied before pg_dump reads it.
 * @param client its connection holds the snapshot
 * @throws Problem when that happened every time
 */
export async function startUndisturbed(
  context: AgentContext,
  client: pg.Client,
  makePlan: () => Promise<DumpPlan>,
): Promise<StartedDump> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const plan = await makePlan();
    const warnings = new ToolWarnings();
    const program = startDump(context.settings, {
      snapshotId: plan.snapshot.id,
      compression: plan.treatment.compression,
      onStderr: warnings.reader(),
    });
    try {
      if (await hasLocked(context, client, program)) return { plan, program, warnings };
    } catch (error) {
      program.kill();
      const loss = lossOf(client);
      throw loss === undefined ? error : new Problem(`${loss.message} Nothing was stored.`);
    }
    program.kill();
    await program.ended;
    await client.query("ROLLBACK");
  }
  throw new Problem(
    `${ATTEMPTS} times another session began to change a table (ALTER TABLE, TRUNCATE, VACUUM FULL, ...) just when the dump began, and the dump gave way, so nothing was stored. Try again when no migration runs.`,
  );
}

/** Waits until the dump writes, which it does once it has all its locks. False: it must give way. */
async function hasLocked(
  { settings, signal }: AgentContext,
  client: pg.Client,
  program: Program | Pipeline,
): Promise<boolean> {
  const listening = new AbortController();
  const options = { signal: listening.signal };
  const writes = Promise.race([once(program.stdout, "readable", options), program.ended]).then(
    () => "writes" as const,
    () => "writes" as const,
  );
  const deadline = performance.now() + LOCKED_WITHIN_MS;
  let monitor: pg.Client | undefined;
  try {
    while (performance.now() < deadline) {
      const look = sleep(LOOK_EVERY_MS, "look" as const, { ref: false });
      if ((await Promise.race([writes, look])) === "writes") return true;
      signal.throwIfAborted();
      monitor ??= await connect(settings.postgres).catch(() => undefined);
      // Where there is no connection left, it goes on as plain pg_dump would.
      if (monitor === undefined) return true;
      if (await isInTheWay(monitor, await backendOf(client))) return false;
    }
    return true;
  } finally {
    listening.abort();
    await monitor?.end();
  }
}

async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid ?? 0;
}
