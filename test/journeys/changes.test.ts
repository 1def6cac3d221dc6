import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Difference } from "../../cli/stack/differences.ts";
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
  journey.stack.configure({ schedule: "@every 6h", maxShrinkPercent: "30" });
  const preview = await journey.stack.preview();
  assert.equal(preview.code, 0, preview.output);
  assert.match(preview.output, /^-\s+SCHEDULE: .*15 \d+ \* \* \*/m);
  assert.match(preview.output, /^\+\s+SCHEDULE: .*@every 6h/m);
  assert.match(preview.output, /keeps 120 backups to restore from, \d+ objects in all/);
  assert.match(preview.output, /^\+\s+BACKUP_MAX_SHRINK_PERCENT: "30"/m);
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  const { same: _, ...changes } = up.changes;
  assert.deepEqual(Object.keys(changes), ["update"]);
  assert.notEqual(await containerId(), before);
  const env = await docker(["container", "inspect", "-f", "{{json .Config.Env}}", container]);
  assert.match(env.stdout, /SCHEDULE=@every 6h/);
});

test("edited by hand: the block, the secrets file and the container are drift, and one up puts all three back", async (t) => {
  const { config, dir } = journey.world.app;
  const secrets = join(dir, ".kamal/secrets");
  const [block, secretsBefore] = [config, secrets].map((file) => readFileSync(file, "utf8")) as [
    string,
    string,
  ];
  const edited = block.replace("memory: 256m", "memory: 64m");
  assert.notEqual(edited, block, "the edit took place");
  writeFileSync(config, edited);
  // Kamal itself reads its own lines there: no later journey could go on without them.
  t.after(() => writeFileSync(secrets, secretsBefore, { mode: 0o600 }));
  // Not there, as in CI: it is not checked.
  rmSync(secrets);
  const ci = await runCli(journey.stack, ["drift"]);
  assert.match(ci.stdout, /^not checked: secrets block /m);
  assert.doesNotMatch(ci.stdout, /^host +secrets/m);
  assert.match(ci.stdout, /^host +deploy\.yml block .*edited by hand/m);

  writeFileSync(secrets, secretsBefore.replaceAll(/^DB_BACKUP.*\n/gm, ""), { mode: 0o600 });
  await docker(["rm", "-f", container]);
  const drift = await runCli(journey.stack, ["drift", "--json"]);
  assert.equal(drift.code, 7, drift.stderr);
  const { seen, notes, differences } = JSON.parse(drift.stdout);
  assert.deepEqual(seen, { backups: "bucket" }, notes.join(" "));
  const onHost = (differences as Difference[]).filter(({ plane }) => plane === "host");
  assert.deepEqual(
    onHost.map(({ subject }) => subject),
    [`${journey.world.ssh.host} ${container}`, "deploy.yml block", "secrets block"],
  );
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 7, preview.output);
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.equal(readFileSync(config, "utf8"), block);
  assert.equal(readFileSync(secrets, "utf8"), secretsBefore);
  const state = await docker(["container", "inspect", "-f", "{{.State.Status}}", container]);
  assert.equal(state.stdout.trim(), "running");
});
