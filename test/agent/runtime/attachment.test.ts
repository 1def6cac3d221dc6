import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { attachTo } from "../../../agent/runtime/attachment.ts";

function attach() {
  const input = new PassThrough();
  const requests: string[] = [];
  const attachment = attachTo(input, { request: (why) => requests.push(why) });
  return { input, requests, attachment };
}

test("the lines up to the first empty one are the secret, however they arrive", async () => {
  for (const [pieces, secret] of [
    [["\n"], ""],
    [["\n\n\n"], ""],
    [["KEY\n\n"], "KEY\n"],
    [["ONE\nTWO\n", "\n", "\n"], "ONE\nTWO\n"],
    [["KE", "Y", "\n", "\n\n"], "KEY\n"],
  ] as const) {
    const { input, requests, attachment } = attach();
    for (const piece of pieces) input.write(piece);
    assert.equal(await attachment.head, secret);
    assert.deepEqual(requests, []);
    attachment.close();
  }
});

test("an answer is the next line behind the question, whatever beats stand around it", async () => {
  const { input, requests, attachment } = attach();
  input.write("\n");
  await attachment.head;
  input.write("yes\n");
  await new Promise((resolve) => setImmediate(resolve));
  const first = attachment.answer();
  input.write("\n");
  input.write("no\n");
  assert.equal(await first, "no", "what came before the question is no answer to it");
  const second = attachment.answer();
  input.write("\nyes\n\n");
  assert.equal(await second, "yes");
  const third = attachment.answer();
  input.end();
  await assert.rejects(third, /was interrupted or lost its connection\.$/);
  assert.equal(requests.length, 1);
  attachment.close();
});

test("the end of the input stops the run, before the secret as well as after it", async () => {
  const before = attach();
  before.input.end("KEY\n");
  await assert.rejects(before.attachment.head, /was interrupted or lost its connection\.$/);
  const after = attach();
  after.input.write("KEY\n\n");
  await after.attachment.head;
  after.input.end();
  await new Promise((resolve) => after.input.once("close", resolve));
  for (const { requests, attachment } of [before, after]) {
    assert.deepEqual(requests, [
      "stopped because the command that started it was interrupted or lost its connection",
    ]);
    attachment.close();
  }
});

test("a minute of silence stops the run, a beat in between does not", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { input, requests, attachment } = attach();
  t.mock.timers.tick(55_000);
  input.emit("data", "\n");
  t.mock.timers.tick(55_000);
  assert.deepEqual(requests, []);
  t.mock.timers.tick(5_000);
  assert.match(requests[0] ?? "", /nothing was heard for 60 s from the command that started it/);
  attachment.close();
});

test("what is too long to be a secret is refused", async () => {
  const { input, attachment } = attach();
  input.write("x".repeat(70_000));
  await assert.rejects(attachment.head, /too long to be a secret/);
  attachment.close();
});
