// tag: first
// It throws the sandbox away, which costs least when nothing has been made in it.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { query } from "../../sandbox/services/database.ts";
import { stateDir } from "../../sandbox/world/paths.ts";
import { run } from "../../sandbox/world/run.ts";
import { readWorld } from "../../sandbox/world/world.ts";

const sandboxUp = () =>
  run(process.execPath, ["sandbox/main.ts", "up"], { timeoutMs: 15 * 60_000 });

test("a sandbox whose folder was removed, as by a fresh clone into the same place, gives way", async () => {
  await sandboxUp();
  rmSync(stateDir, { recursive: true });
  const { stdout } = await sandboxUp();
  assert.match(
    stdout,
    /^leftovers +removed: \d containers, \d volumes?, \d servers? of a sandbox/m,
  );
  const { database } = readWorld(stateDir);
  const counted = "select count(*)::int as rows from pgbench_accounts";
  assert.deepEqual(await query(database, database.name, counted), [{ rows: 100_000 }]);
  const again = await sandboxUp();
  assert.doesNotMatch(again.stdout, /^leftovers/m);
});
