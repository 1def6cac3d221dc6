import assert from "node:assert/strict";
import { test } from "node:test";
import { readBackups, type Sources, type StoredBackups } from "../../../cli/backups/source.ts";
import { AgentError, ContainerDown } from "../../../cli/session/agentCall.ts";
import { Problem } from "../../../common/problem.ts";
import { entryOf } from "../support/factories.ts";

const UNREACHABLE = new Problem("The host cannot be reached.");
const DOWN = new ContainerDown("There is no container.");
const NOT_ALLOWED = new AgentError("The key may not list.");
const HIDDEN = new AgentError("The server cannot be reached.");
const NO_KEY = new Problem("There is no key.");

interface World {
  /** What the server has, or why the agent does not name it. */
  readonly server?: readonly string[] | Error;
  /** Why the agent does not list the backups; of one database only, by its name. */
  readonly agent?: Error | Readonly<Record<string, Error>>;
  /** Databases with a backup in the bucket, or why it cannot be listed. */
  readonly bucket?: readonly string[] | Error;
}

/** Who has been asked, and what came of it, in words. */
async function read(
  { server = [], agent, bucket = [] }: World,
  ...rest: [databases: readonly string[] | null, unavailable?: Problem]
) {
  const asked: string[] = [];
  const backup = (database: string) => [entryOf("2026-11-24T03:15:02", { database })];
  const sources: Sources = {
    agent: {
      async databases() {
        asked.push("agent databases");
        if (server instanceof Error) throw server;
        return server;
      },
      async list(database) {
        asked.push(`agent ${database}`);
        const failure = agent instanceof Error ? agent : agent?.[database];
        if (failure !== undefined) throw failure;
        return { entries: backup(database) };
      },
    },
    async bucket(databases) {
      asked.push(`bucket ${databases?.join(",") ?? "every"}`);
      if (bucket instanceof Error) throw bucket;
      return new Map((databases ?? bucket).map((name) => [name, { entries: backup(name) }]));
    },
  };
  const stored: StoredBackups = await readBackups(sources, ...rest);
  return {
    asked,
    listed: stored.listings.map(({ database, source }) => `${database} ${source}`),
    databases: stored.databases,
    why: stored.agentFailure?.message,
    failure: stored.failure?.message,
  };
}

const BOTH = "either: There is no key.";
const ROWS: readonly {
  name: string;
  world: World;
  databases: readonly string[] | null;
  unavailable?: Problem;
  asked: readonly string[];
  listed: readonly string[];
  why?: string;
  failure?: string;
}[] = [
  {
    name: "the agent lists, and the bucket is not asked",
    world: { bucket: NO_KEY },
    databases: ["a", "b"],
    asked: ["agent a", "agent b"],
    listed: ["a container", "b container"],
  },
  {
    name: "of every database the agent says which there are",
    world: { server: ["b", "a"] },
    databases: null,
    asked: ["agent databases", "agent b", "agent a"],
    listed: ["b container", "a container"],
  },
  ...[UNREACHABLE, DOWN, NOT_ALLOWED].map((agent) => ({
    name: `named databases: ${agent.message} The bucket is asked`,
    world: { agent },
    databases: ["a", "b"],
    asked: ["agent a", "bucket a,b"],
    listed: ["a bucket", "b bucket"],
    why: agent.message,
  })),
  {
    name: "the bucket is asked only for what the agent has not listed",
    world: { agent: { b: UNREACHABLE } },
    databases: ["a", "b", "c"],
    asked: ["agent a", "agent b", "bucket b,c"],
    listed: ["a container", "b bucket", "c bucket"],
    why: UNREACHABLE.message,
  },
  ...[UNREACHABLE, DOWN].map((server) => ({
    name: `every database: ${server.message} The bucket says which there are`,
    world: { server, bucket: ["a", "old"] },
    databases: null,
    asked: ["agent databases", "bucket every"],
    listed: ["a bucket", "old bucket"],
    why: server.message,
  })),
  {
    name: "every database: a key that may not list leaves the names to the server",
    world: { server: ["a"], agent: NOT_ALLOWED, bucket: ["a", "old"] },
    databases: null,
    asked: ["agent databases", "agent a", "bucket a"],
    listed: ["a bucket"],
    why: NOT_ALLOWED.message,
  },
  {
    name: "every database: what the server hides from the agent is not guessed from the bucket",
    world: { server: HIDDEN, bucket: ["a"] },
    databases: null,
    asked: ["agent databases"],
    listed: [],
    why: HIDDEN.message,
    failure: HIDDEN.message,
  },
  {
    name: "an agent that cannot be asked is not asked",
    world: { bucket: ["a"] },
    databases: null,
    unavailable: DOWN,
    asked: ["bucket every"],
    listed: ["a bucket"],
    why: DOWN.message,
  },
  {
    name: "neither: both reasons, and what was listed before",
    world: { agent: { b: UNREACHABLE }, bucket: NO_KEY },
    databases: ["a", "b"],
    asked: ["agent a", "agent b", "bucket b"],
    listed: ["a container"],
    why: UNREACHABLE.message,
    failure: `${UNREACHABLE.message} The bucket could not be asked ${BOTH}`,
  },
];
for (const { name, world, databases, unavailable, why, failure, ...expected } of ROWS) {
  test(name, async () => {
    const { asked, listed, ...stored } = await read(world, databases, unavailable);
    assert.deepEqual({ asked, listed }, expected);
    assert.deepEqual([stored.why, stored.failure], [why, failure]);
  });
}

test("a defect is passed on, and is no reason to ask the bucket", async () => {
  const defect = new TypeError("x is not a function");
  await assert.rejects(read({ agent: defect }, ["a"]), defect);
  await assert.rejects(read({ agent: DOWN, bucket: defect }, ["a"]), defect);
});
