// tag: second sandbox
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { CreateBucketCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { AgentEvent } from "../../../agent/runtime/reporter.ts";
import { WAL_ROLE } from "../../../common/contracts/agentEnvironment/pointInTime.ts";
import type { WalState } from "../../../common/contracts/pointInTime.ts";
import { docker, removeContainer } from "../../../sandbox/host/docker.ts";
import { ensureMajor, type Major } from "../../../sandbox/host/majors.ts";
import { administrator } from "../../../sandbox/stack/actors.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { parsePointInTimeKey } from "../../../storage/catalogue/pointInTimeKeys.ts";
import { segmentPlace, walBytes } from "../../../storage/catalogue/walPosition.ts";
import { sandboxUp } from "../../support/journey.ts";
import { buildAgents, MajorServer } from "../../support/majors.ts";
import { AgentContainer } from "../../support/servers/agentContainer.ts";

const BUCKET = "wal-journey";
const PASSWORD = "password-of-the-wal-role";
const RPO_SECONDS = 2;
const MiB = 2 ** 20;
const PATIENCE_MS = 300_000;
/** Of the WAL that waits for the agent when it starts: far more than its memory. */
const BACKLOG_SEGMENTS = 24;

let world: World;
let server: MajorServer;
let agent: AgentContainer;
let prefix: string;

async function begin(major: Major): Promise<void> {
  world = await sandboxUp();
  prefix = `run-${Date.now()}/pg${major}`;
  await administrator(world)
    .send(new CreateBucketCommand({ Bucket: BUCKET }))
    .catch((error: Error) => {
      if (!error.name.startsWith("BucketAlready")) throw error;
    });
  const { server: image } = await ensureMajor(world, major);
  const [images] = await Promise.all([buildAgents(world, [major]), startServer(major, image)]);
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  const env = {
    ...server.environment,
    ...{ POSTGRES_DATABASE: "postgres", SCHEDULE: "@yearly" },
    ...{ S3_ENDPOINT: endpoint, S3_REGION: region, S3_ALLOW_INSECURE: "true" },
    ...{ S3_BUCKET: BUCKET, S3_PREFIX: prefix },
    ...{ S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey },
    ...{ POINT_IN_TIME_KEEP_DAYS: "14", POINT_IN_TIME_BASE_SCHEDULE: "@weekly" },
    ...{ POINT_IN_TIME_RPO_SECONDS: String(RPO_SECONDS), POINT_IN_TIME_PASSWORD: PASSWORD },
  };
  agent = new AgentContainer(`kamal-postgres-backup-${world.id}-wal-agent`);
  // As components/backup/memory.ts declares them.
  const memory = ["--memory", "384m", "--memory-swap", "384m", "--shm-size", "96m"];
  await agent.start(world, images[major], env, memory);
}

async function startServer(major: Major, image: string): Promise<void> {
  server = new MajorServer(world, major, image);
  await server.start();
  await server.query(
    `CREATE ROLE ${WAL_ROLE} LOGIN REPLICATION PASSWORD '${PASSWORD}' IN ROLE pg_monitor`,
  );
  for (const [name, value] of [
    ["max_slot_wal_keep_size", "4GB"],
    ["summarize_wal", "on"],
    ["checkpoint_completion_target", "0"],
  ]) {
    await server.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  }
  const line = `host replication ${WAL_ROLE} samenet scram-sha-256`;
  const words = ["sh", "-c", `echo '${line}' >>"$PGDATA/pg_hba.conf"`];
  await docker(["exec", "--user", "postgres", server.name, ...words]);
  await server.query("SELECT pg_reload_conf(); CREATE TABLE filler (body text)");
}

async function state(): Promise<WalState | null> {
  const { code, stdout, stderr } = await agent.exec("agent", "activity", "--json");
  assert.equal(code, 0, stderr);
  const events = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AgentEvent);
  const activity = events.find(({ event }) => event === "activity");
  return activity?.event === "activity" ? activity.wal : null;
}

/** Asks until it is so. */
async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  await eventually(what, PATIENCE_MS, async () => ((await done()) ? true : undefined), 500);
}

async function parsed() {
  const found: NonNullable<ReturnType<typeof parsePointInTimeKey>>[] = [];
  let token: string | undefined;
  do {
    const page = await administrator(world).send(
      new ListObjectsV2Command({
        ...{ Bucket: BUCKET, Prefix: prefix },
        ...(token !== undefined && { ContinuationToken: token }),
      }),
    );
    for (const { Key = "" } of page.Contents ?? []) {
      const one = parsePointInTimeKey(prefix, Key);
      if (one !== undefined) found.push(one);
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return found;
}

async function segments(): Promise<string[]> {
  const all = await parsed();
  return all.flatMap((one) => (one.kind === "segment" ? [one.file] : [])).toSorted();
}

/** Fills so many segments, as an application does that loads much. */
async function writeSegments(count: number): Promise<void> {
  await server.query(
    `INSERT INTO filler SELECT md5(i::text) || md5(random()::text) FROM generate_series(1, ${count * 130_000}) i`,
  );
}

async function currentSegment(): Promise<string> {
  return String((await server.query("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))[0]);
}

async function archived(name: string): Promise<void> {
  await until(`segment ${name}`, async () => (await segments()).includes(name));
}

/** Seconds of the processor that the container has had. */
async function cpuSeconds(): Promise<number> {
  const id = await agent.inspect("{{.Id}}");
  const [first = "", second = ""] = [
    `/sys/fs/cgroup/cpuacct/docker/${id}/cpuacct.usage`,
    `/sys/fs/cgroup/system.slice/docker-${id}.scope/cpu.stat`,
  ];
  if (existsSync(first)) return Number(readFileSync(first, "utf8")) / 1e9;
  return Number(/^usage_usec (\d+)/m.exec(readFileSync(second, "utf8"))?.[1]) / 1e6;
}

// PostgreSQL 15 is the one of test/agent/wal/.
for (const major of [17, 18] as const) {
  describe(`the WAL of PostgreSQL ${major} from a container`, () => {
    before(() => begin(major));

    after(async () => {
      for (const part of [agent, server]) if (part !== undefined) await removeContainer(part.name);
    });

    it("a container that may read its own image and nothing else of the disk archives, and has a base at once", async (t) => {
      await until("a chain that receives", async () => {
        const now = await state();
        return now?.receiving === true && now.problem === null && now.reachableTo !== null;
      });
      await until("a base", async () => (await parsed()).some(({ kind }) => kind === "base"));
      const { code, stdout } = await agent.exec("agent-health");
      assert.equal(code, 0, stdout);
      t.diagnostic(`at rest ${((await agent.memory()) / MiB).toFixed(0)} MiB`);
    });

    it("a backlog far larger than its memory leaves no gap, and the container is neither killed nor restarted", async (t) => {
      await docker(["kill", agent.name]);
      await writeSegments(BACKLOG_SEGMENTS);
      const last = await currentSegment();
      await server.query("SELECT pg_switch_wal()");
      await docker(["start", agent.name]);
      let peak = 0;
      await until(`segment ${last}`, async () => {
        peak = Math.max(peak, await agent.memory());
        return (await segments()).includes(last);
      });
      const names = await segments();
      const places = names.map((name) => segmentPlace(name, 16 * MiB));
      for (const [index, { from }] of places.entries()) {
        if (index > 0) assert.equal(from, places[index - 1]?.to, names[index]);
      }
      assert.ok(names.length >= BACKLOG_SEGMENTS);
      assert.equal(await agent.inspect("{{.RestartCount}} {{.State.OOMKilled}}"), "0 false");
      const { stdout } = await docker(["logs", agent.name]);
      assert.doesNotMatch(stdout, /ended with code/);
      const gigabytes = (names.length * 16) / 1024;
      t.diagnostic(
        `peak ${(peak / MiB).toFixed(0)} MiB; ${((await cpuSeconds()) / gigabytes).toFixed(1)} s of the processor a GiB, start included`,
      );
    });

    it("what has changed since the base is a base of its own on top of it", async () => {
      const { code, stdout, stderr } = await agent.exec("agent", "base", "--incremental", "--json");
      assert.equal(code, 0, stdout + stderr);
      const line = stdout.split("\n").find((each) => each.includes('"event":"base"')) ?? "{}";
      const event = JSON.parse(line) as AgentEvent;
      assert.ok(event.event === "base");
      const bases = (await parsed()).flatMap((one) => (one.kind === "base" ? [one.stamp] : []));
      assert.deepEqual(bases.toSorted(), [event.base.parent, event.base.stamp]);
    });

    it("when host and agent die at once, no more is lost than the declared seconds and five", async (t) => {
      await server.query("CREATE TABLE beats (at timestamptz, lsn pg_lsn)");
      const open = await currentSegment();
      await server.query("SELECT pg_switch_wal()");
      await archived(open);
      /** Of each beat when it was committed, and what the WAL had come to behind it. */
      const beats: { readonly at: number; readonly lsn: bigint }[] = [];
      const pieces = async () => (await parsed()).filter(({ kind }) => kind === "piece").length;
      const before = await pieces();
      await until("three pieces of the open segment", async () => {
        for (let count = 0; count < 10; count += 1) {
          const [lsn = ""] = await server.query(
            "INSERT INTO beats SELECT clock_timestamp(); SELECT pg_current_wal_flush_lsn()",
          );
          beats.push({ at: performance.now(), lsn: walBytes(lsn) });
        }
        return (await pieces()) >= before + 3;
      });
      await docker(["kill", agent.name, server.name]);
      const killed = performance.now();
      const ends = (await parsed()).flatMap((one) => {
        if (one.kind !== "piece") return [];
        return [segmentPlace(one.file, 16 * MiB).from + BigInt(one.to)];
      });
      const [end = 0n] = ends.toSorted((a, b) => Number(b - a));
      // Zeros at the end of a piece are left out, at most those of a record's alignment.
      const kept = beats.filter(({ lsn }) => lsn <= end + 8n).at(-1);
      assert.ok(kept !== undefined, "none of the beats was stored");
      const lostMs = killed - kept.at;
      t.diagnostic(`lost ${(lostMs / 1000).toFixed(1)} s of beats at RPO ${RPO_SECONDS} s`);
      assert.ok(lostMs <= (RPO_SECONDS + 5) * 1000);
    });
  });
}
