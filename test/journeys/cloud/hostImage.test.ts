// tag: second sandbox
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { PostgresBackup } from "../../../components/index.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { kamal } from "../../../sandbox/services/kamal.ts";
import { administrator, outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import { resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { openOwn, sandboxUp } from "../../support/journey.ts";

/** A backup whose image is built on the host itself and is in no registry. */
const Bucket = `built-on-the-host-${Date.now()}`;
const KEY = "db_hosted";
let world: World;
let stack: SandboxStack;
let isDestroyed = false;
let outputs: BackupOutputs;
let baseImage: string;
/** A second name of the same base image. */
let otherBase: string;

before(async () => {
  world = await sandboxUp();
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  await administrator(world).send(new CreateBucketCommand({ Bucket }));
  baseImage = world.image.base;
  otherBase = `${baseImage.replace(/:[^:/]+$/, "")}:other`;
  await docker(["pull", "--quiet", baseImage]);
  await docker(["tag", baseImage, otherBase]);
  const program = async () => {
    const backup = new PostgresBackup("hosted", {
      kamal: { config: world.app.config, accessory: KEY },
      firstBackup: false,
      bucket: { name: Bucket, endpoint, region, accessKeyId, secretAccessKey, allowInsecure: true },
      schedule: world.schedule,
      ssh: { hostKeys: { [world.ssh.host]: world.ssh.hostKey } },
      build: "host",
      baseImage,
    });
    await resolved(backup.outputs);
    return { hosted: backup.outputs };
  };
  stack = await openOwn(world, { stack: "hosted", program });
});
after(async () => {
  if (!isDestroyed) await stack?.destroy();
  await stack?.close();
  if (otherBase) await docker(["image", "rm", otherBase], { allowFailure: true });
});

/** Every name of ours that the host's engine has. */
async function images(): Promise<string[]> {
  const name = `localhost/kamal-postgres-backup/${world.app.service}-db-hosted`;
  const list = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name];
  return (await docker(list)).stdout.split("\n").filter(Boolean);
}

async function container(): Promise<string> {
  const format = "{{.Id}} {{.State.Status}} {{.Config.Image}}";
  return (await docker(["container", "inspect", "-f", format, outputs.container])).stdout.trim();
}

async function backsUp(): Promise<void> {
  const backup = await runCli(stack, ["backup"]);
  assert.equal(backup.code, 0, backup.stderr);
}

test("the preview names the image and says what Kamal cannot do with it", async () => {
  const there = await images();
  const preview = await stack.preview();
  assert.equal(preview.code, 0, preview.output);
  assert.match(
    preview.output,
    /\+\s+image: localhost\/kamal-postgres-backup\/.*:pg17-[0-9a-f]{12}/,
  );
  assert.match(preview.output, /kamal accessory reboot fails at its pull/);
  assert.deepEqual(await images(), there, "a preview builds nothing");
});

test("up builds it over SSH, and the container backs up", async () => {
  const first = await stack.up();
  assert.equal(first.code, 0, first.output);
  outputs = await outputsOf(stack);
  assert.deepEqual(await images(), [outputs.image]);
  assert.ok((await container()).endsWith(`running ${outputs.image}`));
  await backsUp();
});

test("another base image is one update of each part, and no more than the last image is kept", async () => {
  const [before, first] = [await container(), outputs.image];
  baseImage = otherBase;
  const changed = await stack.up();
  assert.equal(changed.code, 0, changed.output);
  const { same: _, ...changes } = changed.changes;
  assert.deepEqual(Object.keys(changes), ["update"], changed.output);
  outputs = await outputsOf(stack);
  assert.notEqual(outputs.image, first);
  assert.notEqual(await container(), before);
  assert.deepEqual((await images()).toSorted(), [first, outputs.image].toSorted());
  await docker(["tag", first, `${first}0`]);
  baseImage = world.image.base;
  const back = await stack.up();
  assert.equal(back.code, 0, back.output);
  outputs = await outputsOf(stack);
  assert.equal((await images()).length, 2, "a third one is removed");
});

test("kamal accessory reboot fails at its pull, and the container runs on", async () => {
  const before = await container();
  const reboot = await kamal(world, ["accessory", "reboot", KEY]);
  assert.notEqual(reboot.code, 0, reboot.stdout);
  assert.match(reboot.stdout, /docker image pull localhost\/kamal-postgres-backup\//);
  assert.match(reboot.stdout, /ERROR .*docker exit status: 1/);
  assert.equal(await container(), before);
});

test("kamal accessory boot brings a container back that is gone, and there is no drift", async () => {
  await docker(["rm", "-f", outputs.container]);
  const boot = await kamal(world, ["accessory", "boot", KEY]);
  assert.equal(boot.code, 0, boot.stdout);
  assert.ok((await container()).endsWith(`running ${outputs.image}`));
  const preview = await stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});

test("kamal accessory remove takes the image away: drift, boot cannot bring it back, up can", async () => {
  const remove = await kamal(world, ["accessory", "remove", KEY, "-y"]);
  assert.equal(remove.code, 0, remove.stdout);
  assert.ok(!(await images()).includes(outputs.image));
  const boot = await kamal(world, ["accessory", "boot", KEY]);
  assert.notEqual(boot.code, 0, boot.stdout);

  const drift = await runCli(stack, ["drift"]);
  assert.equal(drift.code, 7, drift.stdout + drift.stderr);
  assert.match(drift.stdout, /host image hosted-agent-127\.0\.0\.1\s.*missing/);
  const healed = await stack.up();
  assert.equal(healed.code, 0, healed.output);
  assert.ok((await container()).endsWith(`running ${outputs.image}`));
  await backsUp();
});

test("another image under its name is drift", async () => {
  await docker(["tag", world.image.base, outputs.image]);
  const preview = await stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 7, preview.output);
  assert.match(preview.output, /HostImage/);
});

test("an image that cannot be built: the last lines of docker, and the container runs on", async () => {
  const before = await container();
  baseImage = `${world.registry.server}/nobody/has-this:1`;
  const failed = await stack.up();
  assert.notEqual(failed.code, 0);
  assert.match(failed.output, /could not be built on 127\.0\.0\.1:/);
  assert.match(failed.output, /manifest for .*nobody\/has-this:1 not found/);
  assert.doesNotMatch(failed.output, /^\s+at .*\.ts:\d+/m, "no stack trace reaches the user");
  assert.equal(await container(), before);
});

test("destroy leaves no image of ours on the host", async () => {
  const gone = await stack.destroy();
  assert.equal(gone.code, 0, gone.output);
  isDestroyed = true;
  assert.deepEqual(await images(), []);
});
