import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

let project: string;
let carried: string[];

function run(program: string, args: readonly string[], cwd = project) {
  const result = spawnSync(program, args, { cwd, encoding: "utf8", timeout: 120_000 });
  return { code: result.status, said: `${result.stdout}${result.stderr}` };
}

/** An empty project with the package as npm would unpack it, and this checkout's copies of what it depends on. */
before(() => {
  project = mkdtempSync(join(tmpdir(), "package-"));
  const built = run(process.execPath, ["scripts/build.ts"], ".");
  assert.equal(built.code, 0, built.said);
  const packed = run("npm", ["pack", resolve("dist"), "--json", "--pack-destination", project]);
  assert.equal(packed.code, 0, packed.said);
  carried = JSON.parse(packed.said.slice(packed.said.indexOf("[")))[0].files.map(
    (file: { path: string }) => file.path,
  );
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "kamal-postgres-backup"), { recursive: true });
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz")) as string;
  run("tar", [
    "-xzf",
    tarball,
    "--strip-components=1",
    "-C",
    join(modules, "kamal-postgres-backup"),
  ]);
  for (const name of readdirSync("node_modules")) {
    if (!name.startsWith(".")) symlinkSync(resolve("node_modules", name), join(modules, name));
  }
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
});
after(() => rmSync(project, { recursive: true, force: true }));

test("the package carries no sandbox, no tests and no stand-in", () => {
  assert.deepEqual(
    carried.filter((path) => /^(sandbox|test|stacks|scripts)\//.test(path)),
    [],
  );
  assert.ok(carried.includes("agent/context/Dockerfile"));
});

test("its components load, and so does what dynamic resources ask for by name", () => {
  const program = `
    import { createRequire } from "node:module";
    import { PostgresBackup, Schedule } from "kamal-postgres-backup";
    const internal = createRequire(process.cwd() + "/x.js")("kamal-postgres-backup/internal/markedBlock");
    console.log(typeof PostgresBackup, Schedule.daily("03:15").toString(), typeof internal.read);`;
  writeFileSync(join(project, "program.mjs"), program);
  const result = run(process.execPath, ["program.mjs"]);
  assert.match(result.said, /^function 15 3 \* \* \* function$/m);
});

test("Scaleway's entry loads in the older module form too; without its peer it alone fails, in one sentence", () => {
  const entry = "kamal-postgres-backup/scaleway";
  const required = `console.log(typeof require("${entry}").ScalewayBackupBucket);`;
  writeFileSync(join(project, "scaleway.cjs"), required);
  assert.equal(run(process.execPath, ["scaleway.cjs"]).said, "function\n");

  const program = `await import("kamal-postgres-backup");
    console.log("loaded");
    await import("${entry}");`;
  writeFileSync(join(project, "scaleway.mjs"), program);
  const peer = join(project, "node_modules/@pulumiverse");
  renameSync(peer, `${peer}-aside`);
  try {
    const { code, said } = run(process.execPath, ["scaleway.mjs"]);
    assert.notEqual(code, 0);
    assert.match(said, /^loaded$/m);
    assert.match(said, /needs the package @pulumiverse\/scaleway, .*: npm install @pulumiverse/);
    assert.doesNotMatch(said, /^\s+at /m, "no stack trace");
  } finally {
    renameSync(`${peer}-aside`, peer);
  }
});

test("its command runs", () => {
  const result = run(process.execPath, [
    "node_modules/kamal-postgres-backup/cli/main.js",
    "--help",
  ]);
  assert.equal(result.code, 0, result.said);
  assert.match(result.said, /restore/);
});

test("its types serve a strict program, and refuse a wrong one", () => {
  const options = [
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--types",
    "node",
  ];
  const good = `import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";
    const bucket = new AwsBackupBucket("b", { retention: Retention.days(30) });
    export const { outputs } = new PostgresBackup("shop", {
      kamal: { config: "deploy.yml" }, bucket, schedule: Schedule.daily("03:15") });`;
  writeFileSync(join(project, "good.mts"), good);
  writeFileSync(join(project, "bad.mts"), good.replace("Retention.days(30)", "30"));
  const tsc = resolve("node_modules/.bin/tsc");
  const fine = run(tsc, [...options, "good.mts"]);
  assert.equal(fine.code, 0, fine.said);
  const wrong = run(tsc, [...options, "bad.mts"]);
  assert.match(wrong.said, /bad\.mts.*Type 'number' is not assignable to type 'Retention'/);
});
