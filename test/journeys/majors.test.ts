// tag: second sandbox
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { fillOffsets } from "../../agent/archive/toc/fillOffsets.ts";
import type { AgentEvent } from "../../agent/runtime/reporter.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { ensureMajor } from "../../sandbox/host/majors.ts";
import { administrator } from "../../sandbox/stack/actors.ts";
import { checkout } from "../../sandbox/world/paths.ts";
import type { World } from "../../sandbox/world/world.ts";
import { untimed } from "../support/archive.ts";
import { sandboxUp } from "../support/journey.ts";
import {
  ASTRAY,
  buildAgents,
  COUNTS,
  MajorServer,
  NEWS,
  pushedBytes,
  SHOP,
} from "../support/majors.ts";
import { AgentContainer } from "../support/servers/agentContainer.ts";

const MAJORS = [15, 17, 18] as const;
type M = (typeof MAJORS)[number];
const BUCKET = "majors";
const MIB = 2 ** 20;

let world: World;
let images: Record<M, string>;
const servers = {} as Record<M, MajorServer>;
const agents = {} as Record<M, AgentContainer>;
const volumeOf = (major: M) => `${world.app.service}-majors-scratch-${major}`;

before(async () => {
  world = await sandboxUp();
  await administrator(world)
    .send(new CreateBucketCommand({ Bucket: BUCKET }))
    .catch(ownedAlready);
  // First what both are made from, then both at once.
  const made = await Promise.all(MAJORS.map((major) => ensureMajor(world, major)));
  const [built] = await Promise.all([
    buildAgents(world, MAJORS),
    ...MAJORS.map((major, index) => startServer(major, made[index]?.server ?? "")),
  ]);
  images = built;
  await Promise.all(MAJORS.map(startAgent));
});

async function startServer(major: M, image: string): Promise<void> {
  const server = new MajorServer(world, major, image);
  servers[major] = server;
  await server.start();
  for (const name of ["shop", "astray"]) await server.query(`create database ${name}`);
  await server.query(SHOP + NEWS[major], "shop");
  await server.query(ASTRAY, "astray");
}

async function startAgent(major: M): Promise<void> {
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  agents[major] = new AgentContainer(`kamal-postgres-backup-${world.id}-agent${major}`);
  const env = {
    ...servers[major].environment,
    ...{ POSTGRES_DATABASE: "shop", SCHEDULE: "@yearly", PASSPHRASE: "correct horse" },
    ...{ S3_ENDPOINT: endpoint, S3_REGION: region, S3_ALLOW_INSECURE: "true" },
    ...{ S3_BUCKET: BUCKET, S3_PREFIX: prefixOf(major) },
    ...{ S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey },
  };
  await agents[major].start(world, images[major], env, [
    ...["--volume", `${volumeOf(major)}:/scratch`],
  ]);
}

after(async () => {
  for (const major of MAJORS) {
    for (const part of [agents[major], servers[major]]) {
      if (part !== undefined) await removeContainer(part.name);
    }
    if (world) await docker(["volume", "rm", "--force", volumeOf(major)]);
  }
});

/** Another sandbox's objects must not be found: the store outlives this file's containers. */
const run = Date.now();
const prefixOf = (major: M) => `run-${run}/pg${major}`;

function ownedAlready(error: Error): void {
  if (error.name !== "BucketAlreadyOwnedByYou" && error.name !== "BucketAlreadyExists") throw error;
}

/** Runs the agent of a major and returns its events. */
async function ask(major: M, ...words: string[]): Promise<AgentEvent[]> {
  const { code, stdout, stderr } = await agents[major].exec(...words, "--json");
  const events = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AgentEvent);
  assert.equal(code, 0, `${stdout}${stderr}`);
  return events;
}

const named = <Name extends AgentEvent["event"]>(events: AgentEvent[], name: Name) => {
  const found = events.find(({ event }) => event === name);
  assert(found, `no event ${name} in ${JSON.stringify(events)}`);
  return found as Extract<AgentEvent, { event: Name }>;
};

/** The sentence with which the agent of a major refuses. */
async function refusal(major: M, ...words: string[]): Promise<string> {
  const { code, stdout } = await agents[major].exec(...words, "--json");
  assert.equal(code, 1, stdout);
  const line = stdout.split("\n").find((each) => each.includes('"event":"error"')) ?? "{}";
  return (JSON.parse(line) as { message: string }).message;
}

/** From the first table to the last, in order. */
function assertProgress(events: AgentEvent[], tables: number): void {
  const steps = events.flatMap((each) =>
    each.event === "progress" && each.step === "restore" ? [each] : [],
  );
  assert.match(steps[0]?.table ?? "", /^(public|stock)\../);
  const done = steps.map((step) => step.done ?? Number.NaN);
  assert.deepEqual(
    done,
    done.toSorted((a, b) => a - b),
  );
  assert((done[0] ?? tables) < tables);
  assert.equal(done.at(-1), tables);
  assert(steps.every(({ total }) => total === tables));
}

describe("each major", { concurrency: MAJORS.length }, () => {
  for (const major of MAJORS) {
    describe(`PostgreSQL ${major}`, { concurrency: 1 }, () => {
      let counts: string[];
      const accident = () =>
        servers[major].query("drop table orders cascade; delete from customers", "shop");

      test("the container runs as nobody special and its image says what it is", async () => {
        const agent = agents[major];
        const status = await agent.exec(
          "sh",
          "-c",
          "id -u; id -g; grep CapEff /proc/self/status; touch /x",
        );
        assert.match(status.stdout, /^10001\n10001\nCapEff:\t0{16}\n$/);
        assert.match(status.stderr, /Read-only file system/);
        const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
        const label = "org.opencontainers.image.version";
        const inspect = ["image", "inspect", "--format", `{{index .Config.Labels "${label}"}}`];
        assert.equal(
          (await docker([...inspect, images[major]])).stdout.trim(),
          `${version}-pg${major}`,
        );
      });

      test("backup, list, verify, accident, restore", async () => {
        const { manifest } = named(await ask(major, "agent", "backup"), "backup");
        assert.equal(manifest.server.major, major);
        assert.match(manifest.pgDump, new RegExp(`\\b${major}\\.`));
        assert.notEqual(manifest.encryption, "none");
        assert.equal(named(await ask(major, "agent", "list"), "list").backups.length, 1);
        const verified = named(await ask(major, "agent", "verify"), "verified");
        assert.deepEqual([verified.depth, verified.tables], ["full", manifest.tables.length]);

        counts = await servers[major].query(COUNTS, "shop");
        await accident();
        const events = await ask(major, "agent", "restore");
        const { compared, way } = named(events, "restored");
        assert.deepEqual([compared, way], [true, major === 15 ? "stream" : "parts"]);
        assertProgress(events, manifest.tables.length);
        assert.deepEqual(await servers[major].query(COUNTS, "shop"), counts);
      });

      test("restored with every core through a named volume, which is left empty", async () => {
        await accident();
        const events = await ask(major, "agent", "restore", "--scratch", "/scratch");
        assertProgress(events, named(events, "restored").tables);
        assert.deepEqual(await servers[major].query(COUNTS, "shop"), counts);
        assert.equal((await agents[major].exec("ls", "-A", "/scratch")).stdout, "");
        const refused = await refusal(
          major,
          "agent",
          "restore",
          "--scratch",
          "/var/tmp",
          "--dry-run",
        );
        assert.match(
          refused,
          /\/var\/tmp cannot be written to \(E\w+\)\. Mount a named volume at \/scratch/,
        );
      });

      test("an archive's offsets, filled in, are those that this pg_dump writes where it can go back", async (t) => {
        const dir = mkdtempSync(join(tmpdir(), "offsets-"));
        t.after(() => rmSync(dir, { recursive: true }));
        const dump =
          "PGPASSWORD=$POSTGRES_PASSWORD pg_dump -h $POSTGRES_HOST -U $POSTGRES_USER -Fc";
        const both = `cd /dev/shm; ${dump} shop | base64 -w0; echo; ${dump} -f a shop; base64 -w0 a; rm a`;
        const { stdout } = await agents[major].exec("sh", "-c", both);
        const [piped, seekable] = stdout.split("\n").map((text) => Buffer.from(text, "base64"));
        assert.ok(piped && seekable);
        const file = join(dir, "archive");
        writeFileSync(file, piped);
        assert.ok(!untimed(piped).equals(untimed(seekable)));
        assert.equal(await fillOffsets(file), true);
        assert.ok(untimed(readFileSync(file)).equals(untimed(seekable)));
      });

      test("a restore that fails gives the server's reason", async () => {
        const astray = ["env", "POSTGRES_DATABASE=astray", "agent"];
        await ask(major, ...astray, "backup");
        for (const way of [[], ["--scratch", "/scratch"]]) {
          const refused = await refusal(major, ...astray, "restore", ...way);
          const reason = /COPY failed for table "orders": relation "limits" does not exist\. /;
          assert.match(refused, reason);
          assert.match(refused, /"astray" was not touched\.$/);
          assert.doesNotMatch(refused, /creating|processing|launching/);
        }
      });
    });
  }
});

test("a server newer than the client is refused, by the client's name and the server's", async () => {
  for (const [client, server] of [
    [15, 17],
    [17, 18],
  ] as const) {
    const refused = await refusal(
      client,
      "env",
      `POSTGRES_HOST=${servers[server].name}`,
      "agent",
      "backup",
    );
    assert.match(
      refused,
      new RegExp(
        `the server runs PostgreSQL ${server}\\..*, this image has pg_dump \\(PostgreSQL\\) ${client}\\..*, which cannot dump a newer server\\. Use the image built for PostgreSQL ${server}\\.`,
      ),
    );
  }
});

test("a backup moves up to a newer server, and is refused on an older one", async () => {
  for (const [from, to] of [
    [15, 18],
    [17, 18],
  ] as const) {
    const into = `from_${from}`;
    await ask(to, "env", `S3_PREFIX=${prefixOf(from)}`, "agent", "restore", "--into", into);
    const [counted] = await servers[to].query(COUNTS, into);
    assert.deepEqual([counted], await servers[from].query(COUNTS, "shop"));
  }
  const host = `POSTGRES_HOST=${servers[17].name}`;
  const refused = await refusal(18, "env", host, "agent", "restore", "--into", "from_18");
  assert.match(refused, /the backup is of PostgreSQL 18\..*, this server runs 17\./);
});

test("the image is at most 120 MiB to fetch", async (t) => {
  const bytes = await pushedBytes(world, images[17]);
  t.diagnostic(`${(bytes / MIB).toFixed(1)} MiB compressed, PostgreSQL 17`);
  assert(bytes <= 120 * MIB);
});
