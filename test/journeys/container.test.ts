// tag: second sandbox, last
// The image that the stack has built is all that it wants of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { outputsOf, query } from "../../sandbox/stack/actors.ts";
import { eventually } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";
import { AgentContainer, OwnStore } from "../support/servers/agentContainer.ts";

const IDLE_LIMIT = 10 * 1024 * 1024;
const DATABASE = "container_journey";
/** Docker looks five times as often as the image asks it to, and judges by as many looks. */
const WATCHED = ["--health-interval", "2s"];

let journey: Journey;
let booted: AgentContainer;
let store: OwnStore;
let agent: AgentContainer;
let late: AgentContainer;
let uncopied: AgentContainer;

before(async () => {
  journey = await begin();
  const { world } = journey;
  const outputs = await outputsOf(journey.stack);
  booted = new AgentContainer(outputs.container);
  store = new OwnStore(world);
  agent = new AgentContainer(`kamal-postgres-backup-${world.id}-journey`);
  late = new AgentContainer(`kamal-postgres-backup-${world.id}-journey-late`);
  uncopied = new AgentContainer(`kamal-postgres-backup-${world.id}-journey-uncopied`);
  await dropDatabase();
  await query(world, `create database ${DATABASE}`, "postgres");
  // Hashes do not compress. With a third of a processor, which costs nothing, a backup of them is under way for some seconds.
  await query(
    world,
    `create table noise as select n, (select string_agg(sha512((n * 10 + i)::text::bytea)::text, '') from generate_series(1, 8) i) as body
     from generate_series(1, 30000) n`,
    DATABASE,
  );
  await store.start();
  const env = { POSTGRES_DATABASE: DATABASE, SCHEDULE: "@yearly" };
  await agent.start(
    world,
    outputs.image,
    { ...env, ...store.environment("journey") },
    ["--cpus", "0.3"],
    WATCHED,
  );

  // Its newest backup is three years old: a run was missed, and is made up for while the other tests run.
  await store.put(`late/${world.database.name}_2023-11-24T03:15:00.dump`, "PGDMP");
  await late.start(world, outputs.image, {
    ...store.environment("late"),
    POSTGRES_DATABASE: world.database.name,
    SCHEDULE: "@yearly",
  });
});

after(async () => {
  for (const container of [uncopied, late, agent, store]) {
    if (container !== undefined) await removeContainer(container.name);
  }
  if (journey === undefined) return;
  await dropDatabase();
  await journey.stack.close();
});

async function dropDatabase(): Promise<void> {
  const drop = `drop database if exists ${DATABASE} with (force)`;
  await query(journey.world, drop, "postgres");
}

const visible = () => store.keys("journey/");
const health = async (container: AgentContainer) =>
  (await container.exec("agent", "health")).stdout.trim();
const becomes = (container: AgentContainer, status: string) =>
  eventually(`health "${status}"`, 90_000, async () =>
    (await container.inspect("{{.State.Health.Status}}")) === status ? true : undefined,
  );

/** Within a minute: at the start a look into the bucket takes its time. */
const rests = (container: AgentContainer) =>
  eventually(`${container.name} at rest`, 60_000, async () => {
    const bytes = await container.memory();
    if (bytes > IDLE_LIMIT) throw new Error(`it takes ${bytes} bytes`);
    return true;
  });

test("what pulumi booted is healthy, and rests in at most 10 MiB", async () => {
  // Started anew: one that failed a backup in an earlier journey stays broken until it succeeds.
  await docker(["restart", booted.name]);
  await becomes(booted, "healthy");
  assert.match(await health(booted), /^waiting; /);
  await rests(booted);
});

test("docker stop during a backup, told twice: in time, nothing visible, no unfinished upload", async () => {
  const { ended } = await agent.backupUnderWay();
  const stop = () => docker(["stop", agent.name]);
  await Promise.all([stop(), stop()]);
  // 137, had Docker killed it.
  assert.equal(await agent.inspect("{{.State.ExitCode}}"), "143");
  assert.notEqual((await ended).code, 0);
  assert.deepEqual(await visible(), []);
  assert.equal(await store.unfinishedUploads(), 0);
});

test("the container killed during a backup: nothing visible, and the next one succeeds", async () => {
  await docker(["start", agent.name]);
  const { ended } = await agent.backupUnderWay();
  await docker(["kill", agent.name]);
  assert.notEqual((await ended).code, 0);
  assert.deepEqual(await visible(), []);

  await docker(["start", agent.name]);
  const next = await agent.exec("sh", "backup.sh");
  assert.equal(next.code, 0, next.stdout + next.stderr);
  assert((await visible()).some((key) => key.endsWith(".manifest.json")));
  assert.match(await health(agent), /^waiting; the last backup succeeded \d+ s ago$/);
  await becomes(agent, "healthy");
});

test("the S3 service stopped midway: a sentence, nothing visible, broken until the next success", async () => {
  const before = await visible();
  const { ended } = await agent.backupUnderWay();
  await store.stop();
  let result: Awaited<typeof ended>;
  try {
    result = await ended;
  } finally {
    await store.resume();
  }
  assert.equal(result.code, 1);
  assert.match(result.message, /\.$/);
  assert.doesNotMatch(result.message, /unexpected/);
  assert.deepEqual(await visible(), before);
  assert.match(await health(agent), /^broken: the last backup failed \d+ s ago: ./);
  await becomes(agent, "unhealthy");

  const next = await agent.exec("agent", "backup");
  assert.equal(next.code, 0, next.stdout + next.stderr);
  assert((await visible()).length > before.length);
  await becomes(agent, "healthy");
});

test("rests in at most 10 MiB after its backups, too", async () => {
  await rests(agent);
});

test("starts from what Node compiled while the image was built, which nobody may change", async () => {
  const { stderr } = await agent.exec("env", "NODE_DEBUG_NATIVE=COMPILE_CACHE", "agent", "--help");
  assert.match(stderr, /V8 code cache for CommonJS \/opt\/agent\/agent\.cjs was accepted/);
  const writable = await agent.exec("find", "/opt/agent", "-writable");
  assert.equal(writable.stdout, "");
});

test("a scheduler that does not do its work is stale, not broken", async () => {
  // The note of a scheduler that stopped an hour ago.
  const note = 'echo "waiting $(($(date +%s) - 3600))" > /dev/shm/agent.scheduler';
  await agent.exec("sh", "-c", note);
  assert.match(await health(agent), /^stale: a backup was due 36\d\d s ago and has not begun$/);
  await becomes(agent, "unhealthy");
});

test("a wrong COPY_ variable: scheduled all the same, unhealthy from the start, and the backup is made", async () => {
  const { world } = journey;
  const { image } = await outputsOf(journey.stack);
  const env = { POSTGRES_DATABASE: world.database.name, SCHEDULE: "@yearly", COPY_TIERS: "yes" };
  await uncopied.start(world, image, { ...store.environment("uncopied"), ...env }, [], WATCHED);
  await becomes(uncopied, "unhealthy");
  assert.match(
    await health(uncopied),
    /^broken: no copy can be made: COPY_TIERS must be true or false/,
  );
  const backup = await uncopied.exec("agent", "backup");
  assert.equal(backup.code, 1);
  assert.match(backup.stderr, /is stored in s3:.*, but its copy failed: COPY_TIERS must be/);
  assert.equal((await store.keys("uncopied/")).length, 3);
  assert.match(await health(uncopied), /^broken: the last backup failed .* COPY_TIERS must be/);
  assert.equal(await uncopied.inspect("{{.State.Status}}"), "running");
});

// The last one: by now most of the two minutes are over that the agent waits before it makes up for a run.
test("a run that was missed is made up for, once", async () => {
  const made = async () =>
    (await store.keys("late/")).filter((key) => key.endsWith(".manifest.json")).length;
  await eventually("The backup that was missed", 240_000, async () =>
    (await made()) > 0 ? true : undefined,
  );
  const logs = await docker(["logs", late.name]);
  assert.match(
    logs.stdout + logs.stderr,
    /was due .*, but the latest is from 2023-11-24T03:15:00Z/,
  );
  await docker(["restart", late.name]);
  await eventually("The scheduler", 60_000, async () => {
    const { stdout } = await docker(["logs", "--since", "5s", late.name]);
    return /next backup/.test(stdout) ? true : undefined;
  });
  assert.equal((await late.exec("agent", "missed")).stdout.trim(), "");
  assert.equal(await made(), 1);
});
