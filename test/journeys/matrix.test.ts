import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { parseEvent } from "../../common/contracts/agentEvents.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { ensureMajor } from "../../sandbox/host/majors.ts";
import { administrator } from "../../sandbox/stack/actors.ts";
import { checkout, sandboxLabel } from "../../sandbox/world/paths.ts";
import type { World } from "../../sandbox/world/world.ts";
import { applicationsOf } from "../agent/matrix/databases.ts";
import {
  APP,
  type Place,
  type Role,
  restoreAsApplication,
  restoreElsewhere,
  restoreWhole,
} from "../agent/matrix/matrix.ts";
import { Side, type Tool } from "../agent/matrix/side.ts";
import { sandboxUp } from "../support/journey.ts";
import { buildAgents } from "../support/majors.ts";
import { AgentContainer } from "../support/servers/agentContainer.ts";
import { answers } from "../support/servers/postgresContainer.ts";

// test/agent/matrix has the whole of it on the major of this machine; here what newer majors can hold besides.

const MAJORS = [17, 18] as const;
type M = (typeof MAJORS)[number];
const BUCKET = "matrix";
/** `MATRIX=whole`: every database. */
const NAMES = process.env["MATRIX"] === "whole" ? undefined : ["ledger", "everything"];
const run = Date.now();

let world: World;
const agents = {} as Record<M, AgentContainer>;
const servers: string[] = [];
const places = {} as Record<M, { here: Place; foreign: Place }>;

before(async () => {
  world = await sandboxUp();
  const s3 = administrator(world);
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET })).catch((error: Error) => {
    if (!/^BucketAlready/.test(error.name)) throw error;
  });
  const images = await buildAgents(world, MAJORS);
  await Promise.all(MAJORS.map((major) => startMajor(major, images[major])));
});

after(async () => {
  const containers = [...Object.values(agents).map(({ name }) => name), ...servers];
  await Promise.all(containers.map(removeContainer));
});

async function startMajor(major: M, image: string): Promise<void> {
  const { server } = await ensureMajor(world, major);
  const agent = new AgentContainer(`kamal-postgres-backup-${world.id}-matrix-agent${major}`);
  agents[major] = agent;
  const [here, foreign] = await Promise.all(
    ["postgres", "ops"].map((user) => startServer(major, server, user)),
  );
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  await agent.start(world, image, {
    ...{ POSTGRES_PASSWORD: APP.password, POSTGRES_DATABASE: "ledger", SCHEDULE: "@yearly" },
    ...{ S3_ENDPOINT: endpoint, S3_REGION: region, S3_ALLOW_INSECURE: "true" },
    ...{ S3_BUCKET: BUCKET, S3_PREFIX: `run-${run}/pg${major}` },
    ...{ S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey },
  });
  const placeOf = (host: string, user: string): Place => ({
    side: new Side(major, containerTool(host, user)),
    user,
    agent: async (database, args, role: Role = { user, password: APP.password }) => {
      const settings = [
        `POSTGRES_HOST=${host}`,
        `POSTGRES_USER=${role.user}`,
        `POSTGRES_DATABASE=${database}`,
      ];
      const outcome = await agent.exec("env", ...settings, "agent", ...args);
      const events = outcome.stdout.split("\n").flatMap((line) => parseEvent(line) ?? []);
      return { ...outcome, events: events as never };
    },
  });
  places[major] = { here: placeOf(here ?? "", "postgres"), foreign: placeOf(foreign ?? "", "ops") };
  const roles = readFileSync(join(checkout, "test/agent/matrix/sql/roles.sql"), "utf8");
  await places[major].here.side.sql("postgres", roles);
}

/** All superusers have the same password here, so that none has to stand in a command. */
async function startServer(major: M, image: string, user: string): Promise<string> {
  const name = `kamal-postgres-backup-${world.id}-matrix-${user}${major}`;
  servers.push(name);
  await removeContainer(name);
  const env = { POSTGRES_USER: user, POSTGRES_PASSWORD: APP.password, POSTGRES_DB: "postgres" };
  await docker(
    [
      ...["run", "--detach", "--name", name, "--network", "kamal"],
      ...["--label", `${sandboxLabel}=${world.id}`],
      ...Object.keys(env).flatMap((each) => ["--env", each]),
      ...[image, "postgres", "-c", "fsync=off"],
    ],
    { env, timeoutMs: 300_000 },
  );
  await answers(name, { user, password: APP.password });
  return name;
}

/** The tools of the server's own container, as its superuser. */
function containerTool(container: string, user: string): Tool {
  return async (program, args, { input = "", clientEncoding = "UTF8" } = {}) => {
    const env = {
      ...{ PGHOST: "127.0.0.1", PGUSER: user, PGPASSWORD: APP.password, PGTZ: "UTC" },
      ...(program === "psql" && { PGCLIENTENCODING: clientEncoding }),
    };
    const names = Object.keys(env).flatMap((name) => ["--env", name]);
    const words = ["exec", "--interactive", ...names, container, program, ...args];
    return (await docker(words, { input, env })).stdout;
  };
}

describe("what newer majors can hold comes back", { concurrency: MAJORS.length }, () => {
  for (const major of MAJORS) {
    describe(`PostgreSQL ${major}`, { concurrency: 1 }, () => {
      for (const databases of applicationsOf(major)) {
        const [{ name = "" } = {}] = databases;
        if (NAMES?.includes(name) === false) continue;
        test(name, async () => {
          const { here, foreign } = places[major];
          for (const database of databases) await here.side.create(database);
          const names = databases.map((database) => database.name).join(",");
          const backup = await here.agent(names, ["backup", "--json"]);
          assert.equal(backup.code, 0, backup.stdout.slice(-500) + backup.stderr);
          const wrong: string[] = [];
          for (const database of databases) {
            const original = await here.side.picture(database.name);
            wrong.push(
              ...(await restoreWhole(here, database, original)),
              ...(await restoreElsewhere(foreign, database, original)),
              ...(await restoreAsApplication(here, database, original)),
            );
          }
          assert.deepEqual(wrong, []);
        });
      }
    });
  }
});
