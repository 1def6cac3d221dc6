import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";

let journey: Journey;
before(async () => {
  journey = await begin();
});
after(() => journey.stack.close());

test("the preview says what the rules will keep", async () => {
  const preview = await journey.stack.preview();
  assert.equal(preview.code, 0, preview.output);
  assert.match(preview.output, /keeps 30 backups to restore from, 132 objects in all/);
});

test("a schedule and a retention that contradict each other are refused at preview, in three lines", async () => {
  const { stack } = journey.stack;
  const settings = ["--set", "schedule=0 3 1 * *", "--set", "retentionDays=7"];
  try {
    // In a process of its own, as a user runs it.
    const preview = await run(process.execPath, ["sandbox/pulumi.ts", "preview", ...settings], {
      allowFailure: true,
    });
    const said = preview.stdout + preview.stderr;
    assert.notEqual(preview.code, 0, said);
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
    assert.doesNotMatch(said, /^\s+at .*\.ts:\d+/m, "no stack trace reaches the user");
  } finally {
    await stack.setConfig("schedule", { value: journey.world.schedule });
    await stack.setConfig("retentionDays", { value: "30" });
  }
});
