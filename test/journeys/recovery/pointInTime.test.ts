// tag: second sandbox
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../../sandbox/host/docker.ts";
import { query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { checkout } from "../../../sandbox/world/paths.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";

const PATIENCE_MS = 240_000;
let journey: Journey;
let identity: string;
/** After 50 rows, and before they were deleted. */
let moment: string;

before(async () => {
  journey = await begin({ pointInTimeKeep: "1d", pointInTimeRpo: "2s" });
  identity = ensureIdentity(journey.world).file;
  await eventually("the first base backup", PATIENCE_MS, async () =>
    (await newest()) === undefined ? undefined : true,
  );
  await sql("DROP TABLE IF EXISTS wanted");
  await sql("CREATE TABLE wanted AS SELECT generate_series(1, 50) AS n");
  const form = `YYYY-MM-DD"T"HH24:MI:SS.US"Z"`;
  const [now] = await sql(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', '${form}') AS at`);
  moment = String(now?.["at"]);
  await sql("DELETE FROM wanted WHERE n > 10");
  await eventually("the moment in the bucket", PATIENCE_MS, async () =>
    ((await newest()) ?? "") > moment ? true : undefined,
  );
});

after(() => journey?.stack.close());

function sql(text: string): Promise<Record<string, unknown>[]> {
  return query(journey.world, text);
}

/** The newest moment that can be recovered, as list has it; undefined: none. */
async function newest(): Promise<string | undefined> {
  const { stdout, stderr } = await runCli(journey.stack, ["list", "--json"]);
  assert.match(stdout, /^\{/, stderr);
  const { pointInTime } = JSON.parse(stdout) as {
    pointInTime: { windows: readonly { to: string }[] };
  };
  return pointInTime.windows
    .map(({ to }) => to)
    .toSorted()
    .at(-1);
}

/** Containers and volumes of recoveries of this sandbox. */
async function leftovers(): Promise<string[]> {
  const filter = ["--filter", "label=kamal-postgres-backup.recovery", "--format"];
  const [containers, volumes] = await Promise.all([
    docker(["ps", "--all", ...filter, "{{.Names}}"]),
    docker(["volume", "ls", ...filter, "{{.Name}}"]),
  ]);
  const names = `${containers.stdout}\n${volumes.stdout}`.split("\n");
  return names.filter((name) => name.startsWith(`${journey.world.app.service}-pitr-`));
}

test("restore --to brings the database back as it was at that moment, keeps the damaged one, and leaves nothing on the host", async () => {
  const args = ["restore", "--to", moment, "--identity", identity, "--yes", "--json"];
  const { code, stdout, stderr } = await runCli(journey.stack, args);
  assert.equal(code, 0, stderr);
  const restored = JSON.parse(stdout) as { previous: string; to: string; lastCommit: string };
  assert.equal(restored.to, moment);
  assert.ok(restored.lastCommit <= moment);
  assert.deepEqual(await sql("SELECT count(*)::int FROM wanted"), [{ count: 50 }]);
  const undone = await runCli(journey.stack, ["undo", restored.previous, "--yes"]);
  assert.equal(undone.code, 0, undone.stderr);
  assert.deepEqual(await sql("SELECT count(*)::int FROM wanted"), [{ count: 10 }]);
  assert.deepEqual(await leftovers(), []);
});

test("Ctrl-C while it recovers takes everything away", async () => {
  const { stack } = journey;
  const where = ["--stack", stack.stack.name, "--cwd", stack.dir];
  const words = ["verify", "--to", moment, "--identity", identity, ...where];
  const child = spawn(process.execPath, [join(checkout, "cli", "main.ts"), ...words], {
    env: { ...process.env, ...stack.env },
    stdio: "ignore",
  });
  const ended = once(child, "close");
  await eventually("the agent of the recovery", PATIENCE_MS, async () =>
    (await leftovers()).some((name) => name.endsWith("-agent")) ? true : undefined,
  );
  child.kill("SIGINT");
  assert.deepEqual(await ended, [130, null]);
  assert.deepEqual(await leftovers(), []);
});
