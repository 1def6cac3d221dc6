// tag: second sandbox
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { RestoredEvent } from "../../../common/contracts/agentEvents.ts";
import { docker, removeContainer } from "../../../sandbox/host/docker.ts";
import { runCli } from "../../../sandbox/stack/actors.ts";
import type { SandboxStack } from "../../../sandbox/stack/engine.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { sandboxLabel } from "../../../sandbox/world/paths.ts";
import { begin, type Journey, openOwn } from "../../support/journey.ts";
import { answers } from "../../support/servers/postgresContainer.ts";
import { dropPeople, makePeople } from "./people.ts";

const CANARY = "canary-7e0b";
const DATABASE = "app_staging";
const dir = mkdtempSync(join(tmpdir(), "clone-"));
const mask = join(dir, "mask.sql");
let journey: Journey;
let staging: SandboxStack;
/** The server of staging. */
let server: string;
let options: string[];

before(async () => {
  journey = await begin();
  const { world } = journey;
  const { user, password, container } = world.database;
  const image = ["container", "inspect", "--format", "{{.Config.Image}}", container];
  const serverImage = (await docker(image)).stdout.trim();
  server = `${world.app.service}-staging`;
  await removeContainer(server);
  const env = { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: DATABASE };
  const names = Object.keys(env).flatMap((name) => ["--env", name]);
  const label = `${sandboxLabel}=${world.id}`;
  await docker(
    [
      "run",
      "--detach",
      "--name",
      server,
      "--network",
      "kamal",
      "--label",
      label,
      ...names,
      serverImage,
    ],
    { env },
  );
  await answers(server, { user, password });
  await inStaging("create table of_staging (id int)");
  const config = {
    ...{ name: "staging", accessory: "staging_backup", database: DATABASE },
    ...{ databaseHost: server, databasePort: "5432" },
  };
  // A command with the environment of the other stack reads this one too.
  staging = await openOwn(world, { stack: "staging", config }, "passphrase");
  const made = await staging.up();
  assert.equal(made.code, 0, made.output);
  options = [
    ...["--into", "staging", "--into-cwd", staging.dir, "--mask", mask],
    ...["--identity", ensureIdentity(world).file, "--network", "kamal", "--image", serverImage],
  ];
  await makePeople(journey, CANARY);
});

after(async () => {
  await staging?.destroy();
  await staging?.close();
  if (journey !== undefined) {
    await removeContainer(server);
    await dropPeople(journey);
  }
  rmSync(dir, { recursive: true });
  await journey?.stack.close();
});

async function inStaging(sql: string, database = DATABASE): Promise<string> {
  const { user } = journey.world.database;
  const words = ["psql", "-U", user, "-d", database, "-qAtc", sql];
  return (await docker(["exec", server, ...words])).stdout.trim();
}

/** Files of staging's server, WAL and temporary files included, in which a text stands. */
async function filesWith(text: string): Promise<string[]> {
  const search = ["grep", "-rlaF", "--", text, "/var/lib/postgresql"];
  const { stdout } = await docker(["exec", server, ...search], { allowFailure: true });
  return stdout.split("\n").filter(Boolean);
}

const clone = (...words: string[]) =>
  runCli(journey.stack, ["clone", "--json", "--globals", ...options, ...words]);

test("a masked clone takes the place of staging's database, and nothing that was masked is on staging's server", async () => {
  writeFileSync(mask, "UPDATE people SET mail = 'person-' || id || '@example.com';");
  const { code, stdout, stderr } = await clone("--yes");
  assert.equal(code, 0, stderr);
  const restored = JSON.parse(stdout) as RestoredEvent & { undo: string };
  assert.deepEqual([restored.database, restored.compared], [DATABASE, true]);
  assert.equal(
    await inStaging("select count(*), min(mail) from people"),
    "2000|person-1000@example.com",
  );
  await inStaging("checkpoint");
  assert.notDeepEqual(await filesWith("person-1999@"), []);
  assert.deepEqual(await filesWith(CANARY), []);
  // What staging had is kept, and comes back by the command that was printed.
  assert.equal(await inStaging("select count(*) from of_staging", restored.previous ?? ""), "0");
  const undone = await runCli(staging, ["undo", restored.previous ?? "", "--yes"]);
  assert.equal(undone.code, 0, undone.stderr);
  assert.equal(await inStaging("select count(*) from of_staging"), "0");
});

test("the clone is no backup of staging: its list and its newest backup are as before", async () => {
  const { stdout } = await runCli(staging, ["list", "--json"]);
  const { backups } = JSON.parse(stdout) as { backups: { key: string }[] };
  assert.deepEqual(
    backups.filter(({ key }) => key.includes("/clones/")),
    [],
  );
});

test("refused: the environment that the backup comes from, and whatever is called production", async () => {
  const own = await runCli(journey.stack, [
    ...["clone", "--into", journey.stack.stack.name, "--into-cwd", journey.stack.dir, "--yes"],
  ]);
  assert.equal(own.code, 1);
  assert.match(own.stderr, /is the environment that the backup comes from/);
  const production = await runCli(journey.stack, ["clone", "--into", "shop-production", "--yes"]);
  assert.equal(production.code, 1);
  assert.match(production.stderr, /--into shop-production looks like production by its name/);
});
