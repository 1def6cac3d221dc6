import assert from "node:assert/strict";
import { test } from "node:test";
import { NotRestored } from "../../../agent/restore/notRestored.ts";

test("what is not restored is said when it turns up, and all of it at the end", () => {
  const said: string[] = [];
  const report = {
    event: () => {},
    line: (text: string) => void said.push(text),
    warn: (text: string) => void said.push(`! ${text}`),
    error: () => {},
  };
  const notRestored = new NotRestored();
  notRestored.reportAll(report);
  notRestored.add("subscription s");
  notRestored.reportNew(report);
  notRestored.add("subscription s");
  notRestored.add('the owner: there is no role "app"');
  assert.deepEqual(notRestored.takeUnasked(), notRestored.items);
  notRestored.add("subscription s");
  notRestored.reportNew(report);
  notRestored.reportNew(report);
  assert.deepEqual(notRestored.takeUnasked(), [], "asked about once");
  notRestored.reportAll(report);
  assert.deepEqual(said, [
    "! Not restored: subscription s.",
    '! Not restored: the owner: there is no role "app".',
    "Not restored, 2 things:",
    "  subscription s",
    '  the owner: there is no role "app"',
  ]);
  assert.deepEqual(notRestored.items, ["subscription s", 'the owner: there is no role "app"']);
});
