import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../sandbox/host/docker.ts";
import { outputsOf, runCli } from "../../sandbox/stack/actors.ts";
import { begin, type Journey } from "../support/journey.ts";

let journey: Journey;
let container: string;
before(async () => {
  journey = await begin();
  container = (await outputsOf(journey.stack)).container;
});
after(() => journey.stack.close());

async function containerId(): Promise<string> {
  return (await docker(["container", "inspect", "-f", "{{.Id}}", container])).stdout.trim();
}

test("a new schedule: shown in the preview as a diff, one update of each part, the container replaced", async () => {
  const before = await containerId();
  await journey.stack.stack.setConfig("schedule", { value: "@every 6h" });
  await journey.stack.stack.setConfig("maxShrinkPercent", { value: "30" });
  try {
    const preview = await journey.stack.preview();
    assert.equal(preview.code, 0, preview.output);
    assert.match(preview.output, /^-\s+SCHEDULE: .*15 \d+ \* \* \*/m);
    assert.match(preview.output, /^\+\s+SCHEDULE: .*@every 6h/m);
    assert.match(preview.output, /^\+\s+BACKUP_MAX_SHRINK_PERCENT: "30"/m);
    const up = await journey.stack.up();
    assert.equal(up.code, 0, up.output);
    const { same: _, ...changes } = up.changes;
    assert.deepEqual(Object.keys(changes), ["update"]);
    assert.notEqual(await containerId(), before);
    const env = await docker(["container", "inspect", "-f", "{{json .Config.Env}}", container]);
    assert.match(env.stdout, /SCHEDULE=@every 6h/);
  } finally {
    await journey.stack.stack.setConfig("schedule", { value: journey.world.schedule });
    await journey.stack.stack.removeConfig("maxShrinkPercent");
    const back = await journey.stack.up();
    assert.equal(back.code, 0, back.output);
  }
});

test("a hand edit inside the block is drift, and up puts it back", async () => {
  const file = journey.world.app.config;
  const declared = readFileSync(file, "utf8");
  writeFileSync(file, declared.replace("memory: 256m", "memory: 64m"));
  assert.notEqual(readFileSync(file, "utf8"), declared, "the edit took place");
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 7, preview.output);
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.equal(readFileSync(file, "utf8"), declared);
});

test("a secrets file without our block is drift; one that is not there, as in CI, is not checked", async () => {
  const file = join(journey.world.app.dir, ".kamal/secrets");
  const declared = readFileSync(file, "utf8");
  const aside = `${file}.aside`;
  renameSync(file, aside);
  try {
    const ci = await runCli(journey.stack, ["drift"]);
    assert.match(ci.stdout, /^not checked: secrets block /m);
    assert.doesNotMatch(ci.stdout, /^host +secrets/m);
    writeFileSync(file, declared.replaceAll(/^DB_BACKUP.*\n/gm, ""), { mode: 0o600 });
    const edited = await runCli(journey.stack, ["drift"]);
    assert.equal(edited.code, 7, edited.stdout + edited.stderr);
    const up = await journey.stack.up();
    assert.equal(up.code, 0, up.output);
    assert.equal(readFileSync(file, "utf8"), declared);
  } finally {
    renameSync(aside, file);
  }
});

test("a container removed by hand is drift, and up boots it again", async () => {
  await docker(["rm", "-f", container]);
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 7, preview.output);
  const drift = await runCli(journey.stack, ["drift", "--json"]);
  assert.equal(drift.code, 7, drift.stderr);
  const { seen, notes } = JSON.parse(drift.stdout);
  assert.deepEqual(seen, { backups: "bucket" }, notes.join(" "));
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  const state = await docker(["container", "inspect", "-f", "{{.State.Status}}", container]);
  assert.equal(state.stdout.trim(), "running");
});
