import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bundleAgent, contextDigest } from "../../common/agentContext.ts";

const IMAGE = fileURLToPath(new URL("../../agent/image/", import.meta.url));
const dirs: string[] = [];
const scratch = () => {
  const dir = mkdtempSync(join(tmpdir(), "image-test-"));
  dirs.push(dir);
  return dir;
};
after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true });
});

/** A folder for the state and for an `agent` that stands in for the program: what is tested here is the shell around it. */
function stage(script: string, schedule: string) {
  const dir = scratch();
  writeFileSync(join(dir, "agent"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const env = {
    PATH: `${dir}:${process.env["PATH"]}`,
    AGENT_STATE_DIR: dir,
    DIR: dir,
    SCHEDULE: schedule,
  };
  return { dir, env };
}

const soon = "next) t=$(($(date +%s) + 1)); echo $t $t ;;";
const runner = (env: NodeJS.ProcessEnv) =>
  spawn("sh", [join(IMAGE, "run.sh")], { env, stdio: ["ignore", "pipe", "pipe"] });
const exitOf = async (child: ReturnType<typeof runner>) => (await once(child, "close"))[0];

describe("run.sh", { timeout: 900_000 }, () => {
  it("without a schedule makes one backup and ends with its code", () => {
    const { env } = stage('[ "$1" = backup ] && exit 7', "");
    assert.equal(spawnSync("sh", [join(IMAGE, "run.sh")], { env }).status, 7);
  });

  it("ends when the schedule cannot be read, with the program's sentence", () => {
    const { env } = stage("echo 'error: SCHEDULE is wrong' >&2; exit 1", "sometimes");
    const { status, stderr } = spawnSync("sh", [join(IMAGE, "run.sh")], { env, encoding: "utf8" });
    assert.equal(status, 1);
    assert.match(stderr, /SCHEDULE is wrong/);
  });

  it("goes on after a failed backup, and hands the last due time on", async () => {
    const { dir, env } = stage(
      `echo "$@" >>"$DIR/calls"\ncase $1 in ${soon} backup) exit 1 ;; esac`,
      "@every 1s",
    );
    const child = runner(env);
    await until(() => calls(dir).filter((line) => line.startsWith("backup")).length >= 2);
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
    const [first, second, third, fourth] = calls(dir);
    assert.deepEqual([first, second, third], ["next", "missed", "backup --scheduled"]);
    assert.match(fourth ?? "", /^next --after \d+$/);
  });

  it("ends at once at a signal while waiting", async () => {
    const { dir, env } = stage("[ $1 = missed ] || echo 9999999999 9999999999", "@hourly");
    const child = runner(env);
    await until(() => stateOf(dir).startsWith("waiting"));
    const started = performance.now();
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
    // What it waits for is centuries away.
    assert(performance.now() - started < 120_000);
  });

  it("hands the signal to a running backup and waits for its end", async () => {
    const { dir, env } = stage(
      `case $1 in ${soon} backup)
         trap 'sleep 1; echo cleaned >"$DIR/calls"; exit 143' TERM
         echo trap >"$DIR/calls"
         while :; do sleep 0.1; done ;; esac`,
      "@every 1s",
    );
    const child = runner(env);
    await until(() => stateOf(dir).startsWith("running") && calls(dir).includes("trap"));
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
    assert.deepEqual(calls(dir), ["cleaned"]);
  });

  it("takes **None** for no schedule, as the old image's ancestors wrote it", () => {
    const { env } = stage('[ "$*" = backup ] && exit 7', "**None**");
    assert.equal(spawnSync("sh", [join(IMAGE, "run.sh")], { env }).status, 7);
  });

  it("begins later than due by the random delay, and counts on from when it was due", async () => {
    const { dir, env } = stage(
      `echo "$@" >>"$DIR/calls"; case "$*" in next) echo 1000 $(($(date +%s) + 2)) ;; next*) echo 9999999999 9999999999 ;; esac`,
      "@daily",
    );
    const child = runner(env);
    const started = performance.now();
    await until(() => calls(dir).includes("next --after 1000"));
    assert(performance.now() - started > 1000);
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
  });

  it("makes up for a missed run once, then keeps to the schedule", async () => {
    const { dir, env } = stage(
      `echo "$@" >>"$DIR/calls"; case $1 in
         next) echo 9999999999 9999999999 ;;
         missed) echo $(($(date +%s) + 1)) ;;
       esac`,
      "@daily",
    );
    const child = runner(env);
    await until(() => calls(dir).length >= 4);
    await until(() => stateOf(dir) === "waiting 9999999999");
    assert.deepEqual(calls(dir), ["next", "missed", "backup --scheduled --catch-up", "next"]);
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
  });

  it("goes on with the schedule when the bucket cannot say whether a run was missed", async () => {
    const { dir, env } = stage(
      `echo "$@" >>"$DIR/calls"\ncase $1 in ${soon} missed) echo no bucket >&2; exit 1 ;; esac`,
      "@every 1s",
    );
    const child = runner(env);
    await until(() => calls(dir).includes("backup --scheduled"));
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
  });

  it("says for how long a run may take, and ends one that does not end by itself", async () => {
    const { dir, env } = stage(
      `case $1 in next) t=$(($(date +%s) + 1)); echo $t $t -88 ;; backup) exec sleep 100 ;; esac`,
      "@every 1h",
    );
    const child = runner(env);
    await until(() => /^running \d+ -88$/.test(stateOf(dir)));
    await until(() => lines(join(dir, "agent.result")).length > 0);
    assert.match(
      readFileSync(join(dir, "agent.result"), "utf8"),
      /^failed \d+ the backup did not end/,
    );
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
  });

  it("removes at its start what a restore of an earlier container has left in clear", async () => {
    const { dir, env } = stage("[ $1 = missed ] || echo 9999999999 9999999999", "@hourly");
    const scratch = join(dir, "unpacked");
    mkdirSync(join(scratch, "restore-Ab3xYz"), { recursive: true });
    writeFileSync(join(scratch, "restore-Ab3xYz/archive.dump"), "PGDMP");
    writeFileSync(join(scratch, "somebody's"), "kept");
    const child = runner({ ...env, RESTORE_SCRATCH_DIR: scratch });
    await until(() => stateOf(dir).startsWith("waiting"));
    assert.deepEqual(readdirSync(scratch), ["somebody's"]);
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
  });

  it("keeps agent wal running where point-in-time recovery is switched on, and stops it with the rest", async () => {
    const script = `echo "$@" >>"$DIR/calls"
      case $1 in
        next) echo 9999999999 9999999999 ;;
        wal) [ "$(grep -c wal "$DIR/calls")" -gt 1 ] || kill -9 $$
          trap 'echo stopped >>"$DIR/calls"; exit 143' TERM
          echo trap >>"$DIR/calls"
          while :; do sleep 0.1; done ;;
      esac`;
    const { dir, env } = stage(script, "@daily");
    const child = runner({ ...env, POINT_IN_TIME_KEEP_DAYS: "14" });
    await until(() => calls(dir).includes("trap"));
    assert.equal(calls(dir).filter((line) => line === "wal").length, 2);
    assert.match(readFileSync(join(dir, "agent.wal"), "utf8"), /^\d+$/m);
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
    assert.equal(calls(dir).at(-1), "stopped");
  });

  it("starts nothing more where it is not switched on", async () => {
    const { dir, env } = stage(
      `echo "$@" >>"$DIR/calls"; [ $1 = missed ] || echo 9999999999 9999999999`,
      "@hourly",
    );
    const child = runner(env);
    await until(() => calls(dir).includes("missed"));
    await until(() => stateOf(dir) === "waiting 9999999999");
    child.kill("SIGTERM");
    assert.equal(await exitOf(child), 143);
    assert.deepEqual(calls(dir), ["next", "missed"]);
    assert.deepEqual(lines(join(dir, "agent.wal")), []);
  });

  it("notes and reports a backup that was killed and could not say so itself", async () => {
    const killed = 'echo "$@" >>"$DIR/calls"; [ "$1" != backup ] || kill -9 $$';
    const { dir, env } = stage(killed, "");
    assert.equal(await exitOf(runner(env)), 137);
    assert.match(readFileSync(join(dir, "agent.result"), "utf8"), /^failed \d+ .*code 137/);
    const [backup, notify] = calls(dir);
    assert.equal(backup, "backup");
    assert.match(notify ?? "", /^notify --killed the backup ended with code 137 /);
  });
});

describe("agent-health", () => {
  const now = Math.floor(Date.now() / 1000);
  const table: readonly [
    scheduler: string,
    result: string,
    code: number,
    says: RegExp,
    fault?: string | undefined,
    wal?: string,
  ][] = [
    ["", "", 1, /has not started/],
    [`waiting ${now + 60}`, "", 0, /no backup has run/],
    [`waiting ${now + 60}`, `ok ${now}`, 0, /waiting; the last backup succeeded/],
    [`running ${now - 9000}`, `ok ${now}`, 0, /running/],
    [`running ${now - 3600}`, "", 0, /running/],
    [
      `running ${now - 7 * 3600}`,
      `ok ${now - 90_000}`,
      1,
      /^stuck: the backup that began 252\d\d s ago has not ended$/m,
    ],
    [`running ${now - 7 * 3600} 43200`, `ok ${now}`, 0, /running/],
    [`running ${now - 600} 300`, "", 1, /stuck/],
    [
      `waiting ${now + 60}`,
      `failed ${now} wrong password; do this`,
      1,
      /broken.*wrong password; do/,
    ],
    [`waiting ${now - 600}`, `ok ${now}`, 1, /stale: a backup was due/],
    [`waiting ${now + 60}`, "", 1, /^broken: no copy: do this$/m, "no copy: do this"],
    [
      `waiting ${now + 60}`,
      `failed ${now} no copy`,
      1,
      /^broken: the last.*: no copy$/m,
      "no copy",
    ],
    [`waiting ${now + 60}`, `ok ${now}`, 0, /^waiting; the last/m, undefined, `${now - 60}`],
    [`waiting ${now + 60}`, "", 0, /no backup has run/, undefined, `${now - 60} no bucket`],
    [
      ...([`waiting ${now + 60}`, `ok ${now}`, 1] as const),
      /^broken: WAL has not reached the bucket for 90\d\d s: no bucket; do this$/m,
      ...([undefined, `${now - 9000} no bucket; do this`] as const),
    ],
    [`waiting ${now + 60}`, "", 1, /^broken: WAL .* for 90\d\d s$/m, undefined, `${now - 9000}`],
    [
      ...([`waiting ${now + 60}`, `failed ${now} wrong`, 1] as const),
      /^broken: the last.*: wrong; WAL .* for 90\d\d s: no$/m,
      ...([undefined, `${now - 9000} no`] as const),
    ],
  ];
  for (const [scheduler, result, code, says, fault, wal] of table) {
    it(`${scheduler.split(" ")[0]} / ${result.split(" ")[0]}: ${says.source}`, () => {
      const dir = scratch();
      if (scheduler !== "") writeFileSync(join(dir, "agent.scheduler"), `${scheduler}\n`);
      if (result !== "") writeFileSync(join(dir, "agent.result"), `${result}\n`);
      if (fault !== undefined) writeFileSync(join(dir, "agent.fault"), `${fault}\n`);
      if (wal !== undefined) writeFileSync(join(dir, "agent.wal"), `${wal}\n`);
      const env = { PATH: process.env["PATH"], AGENT_STATE_DIR: dir };
      const { status, stdout } = spawnSync("sh", [join(IMAGE, "agent-health")], {
        env,
        encoding: "utf8",
      });
      assert.equal(status, code);
      assert.match(stdout, says);
    });
  }
});

describe("the recipe of the image", () => {
  it("names no processor, so that it is the same for amd64 and arm64", () => {
    for (const name of readdirSync(IMAGE)) {
      const text = readFileSync(join(IMAGE, name), "utf8");
      assert.doesNotMatch(text, /amd64|x86|x64|arm64|aarch64|--platform/i, name);
    }
  });
});

describe("bundleAgent", () => {
  it("never has anything else in the folder, since Docker may read it meanwhile", async () => {
    const dir = scratch();
    const seen = new Set<string>();
    const watcher = watch(dir, (_event, name) => seen.add(name ?? ""));
    await Promise.all([bundleAgent(dir), bundleAgent(dir)]);
    await sleep(50);
    watcher.close();
    assert.ok(seen.has("agent.cjs"));
    assert.deepEqual([...seen].toSorted(), readdirSync(dir).toSorted());
  });

  it("lays out the same complete context twice, and its program runs by itself", async () => {
    const [one, other] = [scratch(), scratch()];
    const first = await bundleAgent(one);
    const second = await bundleAgent(other);
    assert.equal(first.digest, second.digest);
    assert.equal(await contextDigest(one), first.digest);
    const dockerfile = readFileSync(join(one, "Dockerfile"), "utf8");
    assert.match(dockerfile, /^ARG VERSION=\d+\.\d+\.\d+/m);
    for (const [, files] of dockerfile.matchAll(/^COPY (.*) \S+$/gm)) {
      for (const file of (files ?? "").split(" ")) readFileSync(join(one, file));
    }
    // Of a module of Node's own it makes every export, and with those of `node:http` the client behind `fetch`.
    assert.doesNotMatch(readFileSync(join(one, "agent.cjs"), "utf8"), /\bimport\("/);
    const out = execFileSync(process.execPath, [join(one, "agent.cjs"), "next", "--after", "0"], {
      cwd: "/",
      encoding: "utf8",
      env: {
        SCHEDULE: "@daily",
        POSTGRES_HOST: "h",
        POSTGRES_USER: "u",
        POSTGRES_PASSWORD: "p",
        POSTGRES_DATABASE: "d",
        S3_BUCKET: "b",
        S3_ACCESS_KEY_ID: "k",
        S3_SECRET_ACCESS_KEY: "s",
      },
    });
    const [due, start] = out.trim().split(" ").map(Number);
    assert.equal((due ?? 1) % 86_400, 0);
    assert.equal(start, due);
    assert((due ?? 0) > Date.now() / 1000);
  });
});

async function until(done: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 120_000; !done(); await sleep(50)) {
    assert(performance.now() < deadline, "it did not happen within 120 s");
  }
}

function calls(dir: string): string[] {
  return lines(join(dir, "calls"));
}

function stateOf(dir: string): string {
  return lines(join(dir, "agent.scheduler"))[0] ?? "";
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    // Not written yet.
    return [];
  }
}

describe("Dockerfile", () => {
  it("lets every program put its temporary files where a read-only container may write", () => {
    const text = readFileSync(join(IMAGE, "Dockerfile"), "utf8");
    const [, state] = /\bAGENT_STATE_DIR=(\S+)/.exec(text) ?? [];
    const [, temporary] = /\bTMPDIR=(\S+)/.exec(text) ?? [];
    assert.equal(temporary, "/dev/shm");
    assert.equal(temporary, state);
  });
});
