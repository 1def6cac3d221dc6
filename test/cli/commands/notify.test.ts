import assert from "node:assert/strict";
import { test } from "node:test";
import { Outside } from "../support/run.ts";

test("notify --test has the container send it, and says where to look", async (t) => {
  const outside = await Outside.open(t);
  const sent = { event: "notified", host: "hooks.slack.com", format: "slack" };
  await outside.answer("notify", { out: [sent] });
  const { stdout, code } = await outside.run(["notify", "--test"]);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    'Sent to hooks.slack.com in the form "slack". Look whether it has arrived there.\n',
  );
  const json = await outside.run(["notify", "--test", "--json"]);
  assert.deepEqual(JSON.parse(json.stdout), {
    notified: true,
    host: "hooks.slack.com",
    format: "slack",
  });
  await outside.answer("notify", {
    out: [{ event: "error", message: "no webhook is set." }],
    code: 1,
  });
  const none = await outside.run(["notify", "--test"]);
  assert.deepEqual([none.code, none.stderr], [1, "error: no webhook is set.\n"]);
  assert.equal((await outside.run(["notify"])).code, 64);
});
