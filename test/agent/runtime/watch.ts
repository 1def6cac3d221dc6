import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { failure, keyBeside, type Outcome, type World } from "../world.ts";

/** Rows of 1 KiB that nothing makes smaller: half as much again as the 20 MiB that an upload buffers. */
export const BIG_ROWS = 32_768;

/** Large enough that a backup has parts acknowledged while pg_dump is still at work. */
export const BIG = [
  "CREATE EXTENSION pgcrypto",
  `CREATE TABLE noise AS SELECT i, gen_random_bytes(1024) AS body FROM generate_series(1, ${BIG_ROWS}) i`,
];

/** Requires that a run failed with this sentence, and printed no secret. */
export function refused(world: World, outcome: Outcome, sentence: RegExp): void {
  assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
  assert.match(failure(outcome), sentence);
  const printed = outcome.stdout + outcome.stderr;
  for (const secret of [world.postgres.password, world.store.secretAccessKey]) {
    assert(!printed.includes(secret), "a secret was printed");
  }
}

const HEALTH = join(import.meta.dirname, "../../../agent/image/agent-health");

/** The image's health check, of the container whose state lies in the folder. */
export function health(AGENT_STATE_DIR: string) {
  return spawnSync("sh", [HEALTH], { env: { ...process.env, AGENT_STATE_DIR }, encoding: "utf8" });
}

/** A container's state, whose scheduler waits. */
export function stateFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "agent.scheduler"), `waiting ${Date.now()}\n`);
  return folder;
}

export function manifestKeyOf(manifest: Manifest): string {
  return keyBeside(manifest, "manifest.json");
}

/** Waits until a running agent reports the first bytes of a step. */
export async function progressOf(child: ChildProcess, step: string): Promise<void> {
  let text = "";
  while (!text.includes(`"step":"${step}"`)) {
    assert(child.stdout, "standard output is a pipe");
    const [chunk] = (await once(child.stdout, "data")) as [string];
    text += chunk;
  }
}

/** Process id of a program that another one has started, itself or by its children: other tests may run the same one. */
export function processOf(starter: { readonly pid?: number | undefined }, program: string): number {
  const parents = new Map<string, string>();
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // The name stands in parentheses and may hold any character; state and parent follow.
      const [, name, parent] =
        /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      parents.set(pid, parent ?? "");
      if (name === program) found.push(pid);
    } catch {
      // It ended between the listing and the reading.
    }
  }
  const isOurs = (pid: string | undefined): boolean =>
    pid !== undefined && (pid === String(starter.pid) || isOurs(parents.get(pid)));
  const pid = found.find(isOurs);
  if (pid === undefined) {
    throw new Error(
      `no ${program} is running: ${execFileSync("ps", ["-ef"], { encoding: "utf8" })}`,
    );
  }
  return Number(pid);
}
