import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ListMultipartUploadsCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { containerState, docker } from "../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../sandbox/stack/actors.ts";
import { run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";

let journey: Journey;
let outputs: BackupOutputs;
before(async () => {
  journey = await begin();
  outputs = await outputsOf(journey.stack);
});
after(() => journey.stack.close());

/**
 * On the real command line, with Pulumi's provider of dynamic resources started as users have it. Other settings that are refused:
 * `stacks/refusals`, `components/accessory/markedBlockCheck`.
 */

/** Runs an operation with other settings, expects it to fail with a sentence, and puts the settings back. */
async function refused(
  settings: Record<string, string>,
  operation: "preview" | "up",
  sentence: RegExp,
): Promise<void> {
  const { stack } = journey.stack;
  const saved = await stack.getAllConfig();
  const words = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  try {
    const result = await run(process.execPath, ["sandbox/pulumi.ts", operation, ...words], {
      allowFailure: true,
    });
    const said = result.stdout + result.stderr;
    assert.notEqual(result.code, 0, said);
    assert.match(said, sentence);
    assert.doesNotMatch(said, /^\s+at .*\.ts:\d+/m, "no stack trace reaches the user");
  } finally {
    for (const key of Object.keys(settings)) {
      const before = saved[`kamal-postgres-backup:${key}`];
      if (before) await stack.setConfig(key, before);
      else await stack.removeConfig(key);
    }
  }
}

test("deploy.yml that is not there", () =>
  refused(
    { kamalConfig: "/nowhere/deploy.yml" },
    "preview",
    /kamal-postgres-backup:kamalConfig: \/nowhere\/deploy\.yml does not exist.*Give the path/,
  ));

test("a secrets file that git tracks", async () => {
  const { dir } = journey.world.app;
  const tracked = join(dir, "tracked-secrets");
  writeFileSync(tracked, "");
  await run("git", ["add", "tracked-secrets"], { cwd: dir });
  try {
    await refused({ secretsFile: tracked }, "preview", /tracked-secrets is tracked by git/);
    assert.equal(readFileSync(tracked, "utf8"), "");
  } finally {
    await run("git", ["rm", "--cached", "-f", "tracked-secrets"], { cwd: dir });
    rmSync(tracked);
  }
});

test("a secret that Kamal would alter: refused, and the container stays", async () => {
  await refused(
    { databasePassword: "secret-a\nb" },
    "up",
    /kamal-postgres-backup:databasePassword \(POSTGRES_PASSWORD\) contains a line end/,
  );
  assert.equal((await containerState(outputs.container))?.status, "running");
});

test("the wrong host key", () =>
  refused(
    {
      hostKeys: JSON.stringify({
        [journey.world.ssh.host]:
          "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvEb0S9VxnVGJvnJN0tJhSgyrKFg6nYj0xJ7nVxYzzz",
      }),
    },
    "up",
    /host key/i,
  ));

test("a boot that fails puts the previous container back, running", async () => {
  const before = await docker(["container", "inspect", "-f", "{{.Id}}", outputs.container]);
  await refused({ databasePassword: "not-the-password" }, "up", /password|fit to back up/i);
  const now = await docker([
    "container",
    "inspect",
    "-f",
    "{{.Id}} {{.State.Status}}",
    outputs.container,
  ]);
  assert.equal(now.stdout.trim(), `${before.stdout.trim()} running`);
  const healed = await journey.stack.up();
  assert.equal(healed.code, 0, healed.output);
});

async function visible(): Promise<string[]> {
  const s3 = administrator(journey.world);
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({
      Bucket: outputs.location.bucket,
      Prefix: `${outputs.location.prefix}/`,
    }),
  );
  return Contents.map((object) => object.Key as string);
}

/**
 * Waits until the program runs, and not merely to tell its version, lets it get to work, and kills it. The image has no
 * pkill, but every sh can read /proc.
 */
function killInside(container: string, program: string): Promise<unknown> {
  const script = `
    for try in $(seq 200); do
      for p in /proc/[0-9]*; do
        [ "$(cat $p/comm 2> /dev/null)" = ${program} ] || continue
        grep -qa -e --version $p/cmdline && continue
        sleep 0.3
        kill -9 "\${p#/proc/}" && exit
      done
      sleep 0.1
    done
    exit 1`;
  // As the agent's own user: root in this container has no right to end another user's process.
  return docker(["exec", container, "sh", "-c", script]);
}

/** Breaks a backup in the middle and expects a sentence, a non-zero exit, and nothing new to see. */
async function brokenBackup(breakIt: () => Promise<unknown>): Promise<void> {
  const before = await visible();
  const backup = runCli(journey.stack, ["backup"]);
  await breakIt();
  const result = await backup;
  assert.notEqual(result.code, 0, result.stdout);
  assert.notEqual(result.stderr.trim(), "");
  assert.deepEqual(await visible(), before);
}

test("pg_dump killed midway: a sentence, non-zero, and nothing visible", async () => {
  await query(
    journey.world,
    "create table if not exists slow_to_dump as select generate_series(1, 3000000) as n, repeat('x', 200) as filler",
  );
  try {
    await brokenBackup(() => killInside(outputs.container, "pg_dump"));
    const s3 = administrator(journey.world);
    const { Uploads = [] } = await s3.send(
      new ListMultipartUploadsCommand({ Bucket: outputs.location.bucket }),
    );
    assert.deepEqual(Uploads, []);
  } finally {
    await query(journey.world, "drop table slow_to_dump");
  }
});

test("a timestamp that matches no backup", async () => {
  const restore = await runCli(journey.stack, ["restore", "2001-01-01T00:00:00", "--yes"]);
  assert.notEqual(restore.code, 0);
  assert.match(restore.stderr, /2001-01-01T00:00:00/);
});

test("an unreachable host is said, and is not mistaken for a missing container", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "outputs-")), "outputs.json");
  const hosts = outputs.hosts.map((host) => ({ ...host, port: 1 }));
  writeFileSync(file, JSON.stringify({ backup: { ...outputs, hosts } }));
  const status = await run(process.execPath, ["cli/main.ts", "list", "--outputs", file], {
    allowFailure: true,
  });
  assert.notEqual(status.code, 0);
  assert.match(status.stderr, /cannot be reached|refused|unreachable/i);
});
