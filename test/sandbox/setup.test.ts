import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { run } from "../../sandbox/world/run.ts";

const scripts = join(import.meta.dirname, "../../scripts");

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "setup-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

async function bash(script: string, env: Record<string, string> = {}) {
  return run("bash", ["-euc", script], { cwd: join(scripts, ".."), env, allowFailure: true });
}

test("env puts only folders that exist in front of PATH, and each once", async (t) => {
  const cache = folder(t);
  mkdirSync(join(cache, "kamal-postgres-backup/pulumi-3.274.1"), { recursive: true });
  const env = { XDG_CACHE_HOME: cache, PATH: "/usr/bin:/bin" };
  const { stdout } = await bash(". scripts/env; . scripts/env; echo $PATH", env);
  const path = stdout.trim().split(":");
  // Where the machine has PostgreSQL's own programs, they come before all others.
  const [first] = path.filter((one) => !one.startsWith("/usr/lib/postgresql/"));
  assert.equal(first, join(cache, "kamal-postgres-backup/pulumi-3.274.1"));
  assert.equal(new Set(path).size, path.length);
  assert.ok(!stdout.includes("seaweedfs"));
});

for (const [wanted, found, enough] of [
  ["22.18", "24.21.0", true],
  ["22.18", "22.18.0", true],
  ["22.18", "22.9.0", false],
  ["2.11", "", false],
] as const) {
  test(`version ${found || "(none)"} ${enough ? "is" : "is not"} at least ${wanted}`, async () => {
    const { code } = await bash(`. scripts/parts/report.sh; at_least "${wanted}" "${found}"`);
    assert.equal(code === 0, enough);
  });
}

test("a part's line tells its time in tenths of a second", async () => {
  const { stdout } = await bash('. scripts/parts/report.sh; report node cached "$(($(now) - 12))"');
  assert.match(stdout, /^node +cached +1\.[23] s\n$/);
});

test("only the parts that are asked for are brought; one that does not exist is refused by name", async (t) => {
  const env = { XDG_CACHE_HOME: folder(t) };
  const some = await bash("scripts/setup --only npm", env);
  assert.equal(some.code, 0, some.stderr);
  const lines = some.stdout.trim().split("\n");
  assert.deepEqual(
    lines.map((line) => line.split(/ {2,}/)[0]),
    [`node ${process.versions.node}`, "npm packages"],
  );
  const wrong = await bash("scripts/setup --only npm,engines", env);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /there is no part 'engines'; the parts are node,npm,/);
});

test("a command runs with the parts that it asks for, and its words stay as they are", async (t) => {
  const env = { XDG_CACHE_HOME: folder(t) };
  const { stdout, stderr } = await bash(
    "scripts/run --only node,npm printf '%s|' 'a b' --only",
    env,
  );
  assert.equal(stdout, "a b|--only|");
  assert.doesNotMatch(stderr, /docker|kamal/);
});

test("a stale pid file of the engine is removed, a living engine's is kept", async (t) => {
  const dir = folder(t);
  const stale = join(dir, "stale");
  const live = join(dir, "live");
  writeFileSync(stale, String(process.pid)); // lives, but is no dockerd
  const script = `
    kpb_cache=${dir}
    . scripts/parts/docker.sh
    drop_stale_pid_file ${stale} dockerd
    echo $$ >${live}
    drop_stale_pid_file ${live} bash
    ls ${dir}`;
  const { stdout } = await bash(script);
  assert.deepEqual(stdout.trim().split("\n"), ["dockerd.log", "live"]);
});

test("SeaweedFS is built without the imports that only register a driver it does not need", async (t) => {
  const dir = folder(t);
  const module = join(dir, "module");
  mkdirSync(join(module, "weed"), { recursive: true });
  const path = "github.com/seaweedfs/seaweedfs/weed/filer";
  const source = `import (\n\t_ "${path}/redis3"\n\t_ "${path}/leveldb2"\n\tredis "${path}/redis"\n)\n`;
  writeFileSync(join(module, "weed/a.go"), source, { mode: 0o444 });
  for (const name of ["go.mod", "go.sum"]) writeFileSync(join(dir, name), "module x\n");
  const go = `#!/bin/sh\ncase "$*" in list*) echo ${module};; "mod edit"*) echo "$3" >>"$4";; esac\n`;
  writeFileSync(join(dir, "go"), go, { mode: 0o755 });

  const script = `. scripts/parts/engines.sh; cd ${dir}; PATH=${dir}:$PATH
    without_imports example.com/m "$kpb_seaweedfs_drivers" ${dir}/copy`;
  const { stdout, code, stderr } = await bash(script);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trim(), join(dir, "copy/go.mod"));
  const replaced = `module x\n-replace=example.com/m=${dir}/copy/module\n`;
  assert.equal(readFileSync(join(dir, "copy/go.mod"), "utf8"), replaced);
  const kept = source.replace(`\t_ "${path}/redis3"\n`, "");
  assert.equal(readFileSync(join(dir, "copy/module/weed/a.go"), "utf8"), kept);
  assert.equal(readFileSync(join(module, "weed/a.go"), "utf8"), source, "the module itself stays");
});
