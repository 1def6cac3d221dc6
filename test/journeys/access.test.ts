import assert from "node:assert/strict";
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../sandbox/host/docker.ts";
import { stopSsh } from "../../sandbox/services/ssh.ts";
import { outputsOf, runCli } from "../../sandbox/stack/actors.ts";
import { run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";

/** Keys that change: a colleague's, one that was replaced, and that of a host which was rebuilt. */
let journey: Journey;
let keyFile: string;
let started: string;
/** Those whom the SSH server lets in. */
let authorized: string;

before(async () => {
  journey = await begin();
  keyFile = journey.world.ssh.keyFile;
  authorized = join(dirname(keyFile), "authorized_keys");
  started = await startedAt();
  renameSync(keyFile, `${keyFile}.mine`);
  copyFileSync(`${keyFile}.pub`, `${keyFile}.mine.pub`);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", `${keyFile}.theirs`]);
});
after(async () => {
  if (keyFile === undefined) return;
  renameSync(`${keyFile}.mine`, keyFile);
  for (const end of [".mine.pub", ".theirs", ".theirs.pub"]) rmSync(`${keyFile}${end}`);
  // The next journey starts it anew, with these keys.
  await stopSsh();
  await journey.stack.close();
});

async function startedAt(): Promise<string> {
  const { container } = await outputsOf(journey.stack);
  return (await docker(["inspect", "-f", "{{.State.StartedAt}}", container])).stdout;
}

const lineOf = (who: "mine" | "theirs") => readFileSync(`${keyFile}.${who}.pub`, "utf8");

/** Somebody's key is what the program finds in `ssh.keys` of deploy.yml. */
function sitsHere(who: "mine" | "theirs"): void {
  copyFileSync(`${keyFile}.${who}`, keyFile);
}

test("a colleague with a key of their own changes nothing", async () => {
  sitsHere("theirs");
  writeFileSync(authorized, lineOf("mine") + lineOf("theirs"));
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});

test("a key that the host no longer takes: the check breaks with a sentence, and pulumi up goes on with the new one", async () => {
  writeFileSync(authorized, lineOf("theirs"));
  const drift = await runCli(journey.stack, ["drift"]);
  assert.equal(drift.code, 1, drift.stdout + drift.stderr);
  assert.match(
    drift.stderr,
    /^error: the check could not be made: 127\.0\.0\.1 \S+db_backup: ssh .* refused the keys/m,
  );
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.equal(await startedAt(), started, "the container was left alone");
});

test("a wrong host key in the program: our own sentence, which names the setting, and nothing is booted", async () => {
  const { ssh } = journey.world;
  const other = `ssh-ed25519 ${lineOf("theirs").split(" ")[1]}`;
  const hostKeys = (key: string) =>
    journey.stack.configure({ hostKeys: JSON.stringify({ [ssh.host]: key }) });
  hostKeys(other);
  const up = await journey.stack.up();
  hostKeys(ssh.hostKey);
  assert.notEqual(up.code, 0);
  assert.match(
    up.output,
    /error: .*the host key of the server is not the expected one\. .*hostKeys/,
  );
  assert.doesNotMatch(up.output, /handshake failed|failed attempts|dial tcp/);
  assert.equal(await startedAt(), started);
});

test("a rebuilt host: with its new key in the program pulumi up works, and nothing has drifted", async () => {
  const { ssh } = journey.world;
  sitsHere("mine");
  writeFileSync(authorized, lineOf("mine"));
  await stopSsh();
  for (const end of ["", ".pub"]) rmSync(join(dirname(keyFile), `host_ed25519${end}`));
  // The sandbox makes another key, and tells the program.
  journey = await begin();
  assert.notEqual(journey.world.ssh.hostKey, ssh.hostKey);
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
  assert.equal(await startedAt(), started, "the container was left alone");
});
