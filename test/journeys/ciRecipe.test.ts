import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { sshAnswers } from "../../sandbox/services/ssh.ts";
import { outputsOf, runCli } from "../../sandbox/stack/actors.ts";
import { run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";

/** README, "In CI": the SSH key is a setting of the stack, and the machine has neither its file nor an agent. */
let journey: Journey;
let key: string;
let file: string;
let home: string;

before(async () => {
  journey = await begin();
  file = journey.world.ssh.keyFile;
  key = readFileSync(file, "utf8");
  renameSync(file, `${file}.aside`);
  home = mkdtempSync(join(tmpdir(), "ci-home-"));
});
after(async () => {
  if (home !== undefined) {
    renameSync(`${file}.aside`, file);
    rmSync(home, { recursive: true });
  }
  if (journey === undefined) return;
  await journey.stack.stack.removeConfig("sshPrivateKey");
  const back = await journey.stack.up();
  await journey.stack.close();
  assert.equal(back.code, 0, back.output);
});

/** A command on that machine. */
const inCi = (...args: string[]) =>
  runCli(journey.stack, args, { HOME: home, SSH_AUTH_SOCK: undefined });

/** A line of the key that tells it from all others. */
const secret = () => key.split("\n")[3] as string;

test("pulumi config set --secret sshPrivateKey < KEY, and up", async () => {
  const { stack, dir, env } = journey.stack;
  const words = ["config", "set", "--secret", "sshPrivateKey", "--stack", stack.name];
  await run("pulumi", words, { cwd: dir, env, input: key });
  const set = await stack.getConfig("kamal-postgres-backup:sshPrivateKey");
  assert.equal(set.value, key.trimEnd(), "Pulumi takes the last line end away");
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.ok(!up.output.includes(secret()));
  const stored = `state/.pulumi/stacks/kamal-postgres-backup/${stack.name}.json`;
  assert.ok(!readFileSync(join(journey.world.dir, stored), "utf8").includes(secret()));
  assert.deepEqual((await outputsOf(journey.stack)).identityFiles, [file], "a path that is gone");
});

test("then every command comes to the host, and drift is clean", async () => {
  assert.equal(await sshAnswers(journey.world.ssh), false, "no other key of this machine does");
  const backup = await inCi("backup");
  assert.equal(backup.code, 0, backup.stderr);
  const drift = await inCi("drift", "--json");
  assert.equal(drift.code, 0, drift.stdout + drift.stderr);
  const document = JSON.parse(drift.stdout);
  assert.deepEqual(document.differences, []);
  assert.deepEqual(document.seen, { backups: "container" }, "the agent told, not the bucket");
  const status = await inCi("status");
  assert.equal(status.code, 0, status.stderr);
  for (const { stdout, stderr } of [backup, drift, status]) {
    assert.ok(!`${stdout}${stderr}`.includes(secret()));
  }
});
