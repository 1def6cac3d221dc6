import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../sandbox/host/docker.ts";
import { outputsOf } from "../../sandbox/stack/actors.ts";
import { run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";

let journey: Journey;
let container: string;
let canaries: Record<string, string>;

before(async () => {
  journey = await begin();
  container = (await outputsOf(journey.stack)).container;
  const { stdout } = await docker([
    "container",
    "inspect",
    "-f",
    "{{json .Config.Env}}",
    container,
  ]);
  const env = Object.fromEntries(
    (JSON.parse(stdout) as string[]).map((line) => line.split(/=(.*)/s)),
  );
  canaries = {
    "the database password": env["POSTGRES_PASSWORD"],
    "the writer's secret key": env["S3_SECRET_ACCESS_KEY"],
    "the signing key": env["SIGNING_KEYS"],
    "the registry password": journey.world.registry.password,
    "the private SSH key": readFileSync(journey.world.ssh.keyFile, "utf8").split("\n")[2] as string,
  };
});
after(() => journey.stack.close());

function assertClean(where: string, text: string): void {
  for (const [what, value] of Object.entries(canaries)) {
    assert.ok(value.length > 8, `${what} is long enough to look for`);
    assert.ok(!text.includes(value), `${where} holds ${what} in plain`);
  }
}

test("the env file and Kamal's secrets file are 0600", () => {
  const { world } = journey;
  const envFile = join(
    world.ssh.home,
    `.kamal/apps/${world.app.service}/env/accessories/db_backup.env`,
  );
  for (const file of [envFile, join(world.app.dir, ".kamal/secrets")]) {
    assert.equal((statSync(file).mode & 0o777).toString(8), "600", file);
  }
});

test("no secret in the container's arguments, labels or logs", async () => {
  const { stdout } = await docker(["container", "inspect", container]);
  const [found] = JSON.parse(stdout);
  delete found.Config.Env;
  assertClean("docker inspect", JSON.stringify(found));
  const logs = await docker(["logs", container]);
  assertClean("docker logs", logs.stdout + logs.stderr);
});

test("no secret in Pulumi's state, nor in what preview and up print", async () => {
  // The files themselves, history and backups included: an export would decrypt them.
  const state = join(journey.world.dir, "state");
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  assert.ok(files.length > 0);
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    assertClean(path, readFileSync(path, "utf8"));
  }
  journey.stack.configure({ schedule: "45 4 * * *" });
  try {
    const preview = await journey.stack.preview();
    assert.equal(preview.code, 0, preview.output);
    assert.match(preview.output, /45 4 \* \* \*/);
    // Debug messages of Pulumi's own library quote resources in plain; nobody sees them without --debug.
    const shown = preview.events.filter((event) => event.diagnosticEvent?.prefix !== "debug: ");
    assert.ok(shown.length > 0);
    assertClean("the preview", preview.output + JSON.stringify(shown));
  } finally {
    journey.stack.configure();
  }
});

test("no secret in a file of the application that git would commit, nor in Kamal's audit log", async () => {
  const { world } = journey;
  const listed = await run("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: world.app.dir,
  });
  for (const file of listed.stdout.split("\n").filter(Boolean)) {
    assertClean(file, readFileSync(join(world.app.dir, file), "utf8"));
  }
  assertClean(
    "the audit log",
    readFileSync(join(world.ssh.home, `.kamal/${world.app.service}-audit.log`), "utf8"),
  );
});
