import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { ListMultipartUploadsCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import { containerState, docker } from "../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../sandbox/stack/identity.ts";
import { checkout } from "../../sandbox/world/paths.ts";
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

/** Types a command on a terminal of its own, which util-linux's `script` makes. */
function onTerminal(...args: readonly string[]) {
  const { env, stack, dir } = journey.stack;
  const main = [process.execPath, join(checkout, "cli", "main.ts"), ...args];
  const line = [...main, "--stack", stack.name, "--cwd", dir].map(shellQuote).join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"], {
    env: { ...process.env, ...env },
    stdio: "pipe",
  });
  const ended = once(child, "close");
  const screen = { text: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen.text += text;
  });
  return { child, ended, screen };
}

/** Waits until it holds, and fails with what it waited for. */
async function until(what: () => string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (await holds()) return;
    await setTimeout(100);
  }
  assert.fail(`waited in vain until ${what()}`);
}

/** The processes below one, by their names. */
function processesBelow(pid: number, name: string): number[] {
  const found = readdirSync("/proc").flatMap((entry) => {
    try {
      const [, id, comm, parent] =
        /^(\d+) \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, "utf8")) ?? [];
      return [{ id: Number(id), comm, parent: Number(parent) }];
    } catch {
      // No process, or one that has ended meanwhile.
      return [];
    }
  });
  const children = found.filter(({ parent }) => parent === pid);
  return children.flatMap(({ id, comm }) => [
    ...(comm === name ? [id] : []),
    ...processesBelow(id, name),
  ]);
}

const WAYS = {
  "Ctrl-C": ({ child }: ReturnType<typeof onTerminal>) => child.stdin.write("\u0003"),
  // The terminal's master side is closed, so that everything on it gets SIGHUP.
  "a closed terminal": ({ child }: ReturnType<typeof onTerminal>) => child.kill("SIGKILL"),
  "a lost connection": ({ child }: ReturnType<typeof onTerminal>) => {
    const [ssh] = processesBelow(child.pid as number, "ssh");
    process.kill(ssh as number, "SIGKILL");
  },
} as const;

/** What the container's log has gained since a moment. */
async function logSince(moment: Date): Promise<string> {
  const { stdout, stderr } = await docker([
    "logs",
    "--since",
    moment.toISOString(),
    outputs.container,
  ]);
  return stdout + stderr;
}

test("Ctrl-C, a closed terminal and a lost connection end the work in the container, and its log says so", async () => {
  const { world, stack } = journey;
  await query(
    world,
    "create table if not exists slow_to_read as select generate_series(1, 3000000) as n, repeat(md5('x'), 6) as filler",
  );
  try {
    const first = await runCli(stack, ["backup", "--accept"]);
    assert.equal(first.code, 0, first.stderr);
    const databases = () =>
      query<{ datname: string }>(world, "select datname from pg_database order by 1");
    const before = await databases();
    const stored = await visible();
    const identity = ["--identity", ensureIdentity(world).file];
    const words = { restore: [...identity, "--yes"], backup: [], verify: identity } as const;
    const backups = (keys: readonly string[]) => keys.filter((key) => !key.includes("/restores/"));
    for (const [command, way, working] of [
      ["restore", "Ctrl-C", /reading +\d|restoring +\d/],
      ["restore", "a closed terminal", /reading +\d|restoring +\d/],
      ["restore", "a lost connection", /reading +\d|restoring +\d/],
      ["backup", "Ctrl-C", /uploading +\d/],
      ["backup", "a lost connection", /uploading +\d/],
      ["verify", "Ctrl-C", /reading +\d/],
      ["verify", "a closed terminal", /reading +\d/],
    ] as const) {
      const what = `${command}, ${way}`;
      const began = new Date();
      const terminal = onTerminal(command, ...words[command]);
      await until(
        () => `${what}: it works; it shows ${terminal.screen.text}`,
        () => working.test(terminal.screen.text),
      );
      WAYS[way](terminal);
      await terminal.ended;
      await until(
        () => `${what}: nothing runs in the container`,
        async () => {
          const activity = ["agent", "activity", "--json"];
          const { stdout } = await docker(["exec", outputs.container, ...activity]);
          return /"runs":\[\]/.test(stdout);
        },
      );
      assert.deepEqual(await databases(), before, what);
      assert.deepEqual(backups(await visible()), backups(stored), what);
      const stopped =
        "error: stopped because the command that started it was interrupted or lost its connection before it was complete";
      assert.ok((await logSince(began)).includes(`${command}: ${stopped}`), what);
      // On a terminal a sentence is broken between words.
      const shown = terminal.screen.text.replace(/\s+/g, " ");
      if (way === "Ctrl-C") {
        assert.match(shown, /Interrupted: the agent stops and tidies up/);
        assert.ok(shown.includes(stopped), shown);
        assert.deepEqual(await terminal.ended, [130, null], what);
      }
      if (way === "a lost connection") {
        assert.match(shown, /It stops by itself within about a minute/);
      }
      if (command !== "restore") continue;
      const { stdout } = await runCli(stack, ["history", "--json"]);
      const [last] = JSON.parse(stdout).records;
      assert.equal(last.result, "stopped", what);
      assert.ok(Date.parse(last.startedAt) >= began.getTime() - 1000, what);
    }
  } finally {
    await query(world, "drop table slow_to_read");
    // The table is gone, as it should be.
    await runCli(stack, ["backup", "--accept"]);
  }
});

test("a restore leaves its trace in the container's log", async () => {
  const began = new Date();
  const restored = await runCli(journey.stack, [
    ...["restore", "--into", "traced", "--yes"],
    ...["--identity", ensureIdentity(journey.world).file],
  ]);
  try {
    assert.equal(restored.code, 0, restored.stderr);
    const log = await logSince(began);
    assert.match(log, /^\S+Z restore: Restoring "traced" from \S+ UTC/m);
    assert.match(log, /^\S+Z restore: Restored "traced" from /m);
  } finally {
    await query(journey.world, "drop database if exists traced");
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
