import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEvent } from "../../common/contracts/agentEvents.ts";
import { entryOf, manifestOf } from "../cli/samples.ts";

test("what is no event of ours is passed over", () => {
  for (const line of ["", "Welcome to Debian", "42", "null", "[]", '{"level":"info"}']) {
    assert.equal(parseEvent(line), undefined, line);
  }
  assert.equal(parseEvent('{"event":"from the future","x":1}'), undefined);
});

test("each event of the agent is read", () => {
  const events = [
    { event: "progress", step: "upload", bytes: 1, elapsedMs: 2 },
    { event: "progress", step: "restore", done: 1, total: 2, table: "public.a", elapsedMs: 2 },
    { event: "backup", manifest: manifestOf("2026-11-24T03:15:02") },
    { event: "list", backups: [entryOf("2026-11-24T03:15:02")] },
    { event: "error", message: "no" },
    {
      event: "restored",
      database: "a",
      from: "2026-11-24T03:15:02",
      previous: "a_before_20261124T102110",
      undo: "undo a_before_20261124T102110",
      tables: 1,
      rows: 2,
      compared: true,
      elapsedMs: 3,
    },
    {
      event: "planned",
      ...{ database: "a", from: "2026-11-24T03:15:02", key: "k", bytes: 1 },
      ...{ previous: null, tables: null, rows: null, roles: ["reporter"] },
    },
    {
      event: "undone",
      database: "a",
      from: "a_before_20261124T102110",
      previous: null,
      elapsedMs: 1,
    },
    {
      event: "verified",
      ...{ database: "a", from: "2026-11-24T03:15:02", key: "k", bytes: 1, elapsedMs: 1 },
      ...{ depth: "stored", tables: null, unchecked: "the content" },
    },
  ];
  for (const event of events) assert.deepEqual(parseEvent(JSON.stringify(event)), event);
});

test("a list without manifests, or with one that cannot be read, still lists", () => {
  const { manifest: _, ...entry } = entryOf("2026-11-24T03:15:02");
  const list = { event: "list", backups: [entry, { ...entry, manifest: { version: 9 } }] };
  const read = parseEvent(JSON.stringify(list));
  assert.deepEqual(read, { event: "list", backups: [entry, { ...entry, manifest: null }] });
});

test("an event that lacks what we need is refused by name", () => {
  assert.throws(() => parseEvent('{"event":"restored","database":"a"}'), {
    name: "Problem",
    message: /answered "restored" in a form that this version does not read \(from: .*pulumi up/,
  });
});
