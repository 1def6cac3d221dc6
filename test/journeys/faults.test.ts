// tag: cloud
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { ListMultipartUploadsCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import pg from "pg";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import { docker } from "../../sandbox/host/docker.ts";
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
 * What the container's processes get of the processors. With a third of one, a restore lasts long enough to be broken midway; a
 * large database would do the same with many times the work.
 */
const allow = (cpus: number) => docker(["update", "--cpus", String(cpus), outputs.container]);
const A_LITTLE = 0.3;

/** Kills a program of the container's. The image has no pkill, but every sh can read /proc. */
function killInside(program: string): Promise<unknown> {
  const script = `for p in /proc/[0-9]*; do
    [ "$(cat $p/comm 2> /dev/null)" = ${program} ] && kill -9 "\${p#/proc/}" && exit
  done; exit 1`;
  // As the agent's own user: root in this container has no right to end another user's process.
  return docker(["exec", outputs.container, "sh", "-c", script]);
}

/** Keeps pg_dump waiting for the large objects, which come behind the rows, until the work is done. */
async function withDumpsWaiting<T>(work: () => Promise<T>): Promise<T> {
  const { host, port, user, password, name } = journey.world.database;
  const client = new pg.Client({ host, port, user, password, database: name });
  await client.connect();
  try {
    await client.query("begin; lock table pg_largeobject in access exclusive mode");
    return await work();
  } finally {
    await client.end();
  }
}

test("pg_dump killed midway: a sentence, non-zero, and nothing visible", async () => {
  const before = await visible();
  await withDumpsWaiting(async () => {
    const terminal = onTerminal("backup");
    await until(
      () => `bytes are on their way; it shows ${terminal.screen.text}`,
      () => /uploading +\d/.test(terminal.screen.text),
    );
    await killInside("pg_dump");
    const [code] = await terminal.ended;
    assert.equal(code, 1, terminal.screen.text);
    // On a terminal a sentence is broken between words.
    const shown = terminal.screen.text.replace(/\s+/g, " ");
    assert.match(shown, /error: .*pg_dump.*unless someone did that, .* Nothing was stored\./);
  });
  assert.deepEqual(await visible(), before);
  const s3 = administrator(journey.world);
  const { Uploads = [] } = await s3.send(
    new ListMultipartUploadsCommand({ Bucket: outputs.location.bucket }),
  );
  assert.deepEqual(Uploads, []);
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
  const first = await runCli(stack, ["backup"]);
  assert.equal(first.code, 0, first.stderr);
  await allow(A_LITTLE);
  try {
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
      const inRound =
        command === "backup" ? withDumpsWaiting : <T>(work: () => Promise<T>) => work();
      const terminal = await inRound(async () => {
        const typed = onTerminal(command, ...words[command]);
        await until(
          () => `${what}: it works; it shows ${typed.screen.text}`,
          () => working.test(typed.screen.text),
        );
        WAYS[way](typed);
        await typed.ended;
        await until(
          () => `${what}: nothing runs in the container`,
          async () => {
            const { stdout } = await docker(["top", outputs.container, "-eo", "pid,args"]);
            return !new RegExp(`agent[.]cjs ${command}`).test(stdout);
          },
        );
        return typed;
      });
      assert.deepEqual(await databases(), before, what);
      assert.deepEqual(backups(await visible()), backups(stored), what);
      const stopped =
        "error: stopped because the command that started it was interrupted or lost its connection before it was complete";
      assert.ok((await logSince(began)).includes(`${command}: ${stopped}`), what);
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
    await allow(availableParallelism());
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

/** `npm run pulumi`, with Pulumi's provider of dynamic resources started as users have it; the settings are put back. */
async function refused(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, ["sandbox/pulumi.ts", ...words], {
    allowFailure: true,
  });
  journey.stack.configure();
  assert.notEqual(code, 0, stdout + stderr);
  assert.doesNotMatch(stdout + stderr, /^\s+at .*\.ts:\d+/m, "no stack trace reaches the user");
  return stdout + stderr;
}

test("a schedule and a retention that contradict each other are refused at preview, in three lines", async () => {
  const settings = ["--set", "schedule=0 3 1 * *", "--set", "retentionDays=7"];
  const said = await refused("preview", ...settings);
  const report = [
    "kamal-postgres-backup:schedule and kamal-postgres-backup:retentionDays contradict each other",
    'given   kamal-postgres-backup:schedule "0 3 1 * *" (up to 31 days from one backup to the next), kamal-postgres-backup:retentionDays 7 days',
    "then    from day 8 to day 31 after each backup no backup exists",
    "do      keep at least 62 days, or back up at least every 3 days",
  ];
  let at = -1;
  for (const line of report) {
    const found = said.indexOf(line, at + 1);
    assert.ok(found > at, `${line}\nis not, in this order, in\n${said}`);
    at = found;
  }
});

test("a boot that fails puts the previous container back, running, and pulumi up fails with a sentence", async () => {
  const format = "{{.Id}} {{.State.Status}}";
  const seen = ["container", "inspect", "-f", format, outputs.container];
  const before = (await docker(seen)).stdout;
  const said = await refused("up", "--set", "databasePassword=not-the-password");
  assert.match(said, /not fit to back up/);
  assert.match(before, /running$/m);
  assert.equal((await docker(seen)).stdout, before);
});
