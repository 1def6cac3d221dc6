import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent } from "../../agent/runtime/reporter.ts";
import { parseEvent } from "../../common/contracts/agentEvents.ts";
import type { RecoveryPlan } from "../../common/contracts/pointInTime.ts";
import { entryOf, manifestOf } from "../cli/support/factories.ts";

const STAMP = "2026-11-24T03:15:02";

const CHAIN = "kpb_20261124t031502_0a1b2c";
const WINDOW = { chain: CHAIN, from: `${STAMP}Z`, to: "2026-11-24T05:00:00Z" };
const PLAN: RecoveryPlan = {
  moment: "latest",
  chain: {
    ...{ version: 1, chain: CHAIN, systemIdentifier: "7", major: 17, serverVersion: "17.6" },
    ...{ startLsn: "0/3000000", timeline: 1, segmentBytes: 16_777_216 },
    ...{ encryption: "none", recipients: [], startedAt: `${STAMP}Z` },
  },
  bases: [],
  ...{ segments: 3, endLsn: "0/5000000", isProven: true, diskBytes: 1 },
};

test("what is no event of the agent is left out", () => {
  for (const line of ["", "Welcome to Debian", "42", "null", "[]", '{"level":"info"}']) {
    assert.equal(parseEvent(line), undefined, line);
  }
  assert.equal(parseEvent('{"event":"from the future","x":1}'), undefined);
});

test("each event of the agent is read as it was written", () => {
  const events: AgentEvent[] = [
    { event: "attached" },
    { event: "progress", step: "upload", bytes: 1, elapsedMs: 2 },
    { event: "progress", step: "restore", done: 1, total: 2, table: "public.a", elapsedMs: 2 },
    { event: "backup", manifest: manifestOf(STAMP) },
    { event: "copied", manifest: manifestOf(STAMP) },
    { event: "databases", databases: ["a"], stored: null },
    { event: "databases", databases: ["a"], stored: ["a", "b"] },
    { event: "list", backups: [entryOf(STAMP)] },
    { event: "error", message: "no" },
    {
      event: "restored",
      database: "a",
      from: STAMP,
      previous: "a_before_20261124T102110",
      undo: "undo a_before_20261124T102110",
      tables: 1,
      rows: 2,
      compared: true,
      elapsedMs: 3,
      failed: [{ entry: "INDEX public.i", statement: "", error: "no", outcome: "left out" }],
      differences: ["public.t: 1 rows instead of 2"],
      notRestored: ["the comment of the database"],
      server: "7301234567890123456",
      loginRoles: ["reporter"],
      way: "parts",
    },
    {
      event: "planned",
      ...{ database: "a", from: STAMP, key: "k", bytes: 1 },
      ...{ previous: null, tables: null, rows: null, roles: ["reporter"] },
      notRestored: [],
    },
    {
      event: "question",
      ...{ question: "Restore a?", name: "a", notRestored: ["the comment of the database"] },
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
      ...{ database: "a", from: STAMP, key: "k", bytes: 1, elapsedMs: 1 },
      ...{ depth: "stored", tables: null, unchecked: "the content", signature: "unsigned" },
    },
    {
      event: "reachable",
      windows: [{ ...WINDOW, proven: null, bases: [STAMP] }],
      gaps: [{ chain: CHAIN, first: "000000010000000000000004", last: "0", segments: 2 }],
      ...{ alive: null, newestBase: { stamp: STAMP, endedAt: `${STAMP}Z` }, plan: null },
    },
    { event: "fetched", plan: PLAN, elapsedMs: 1 },
    { event: "table", database: "a", schema: "public", table: "t", rows: 1, elapsedMs: 1 },
  ];
  for (const event of events) assert.deepEqual(parseEvent(JSON.stringify(event)), event);
});

test("a list without manifests, or with one that cannot be read, still lists", () => {
  const { manifest: _, ...entry } = entryOf(STAMP);
  const list = { event: "list", backups: [entry, { ...entry, manifest: { version: 9 } }] };
  const read = parseEvent(JSON.stringify(list));
  assert.deepEqual(read, { event: "list", backups: [entry, { ...entry, manifest: null }] });
});

test("an older agent's events are read, and a newer agent's step of a progress", () => {
  const { suspect: _s, tier: _t, globalsKey: _g, verifiedKey: _v, ...old } = entryOf(STAMP);
  const defaults = { suspect: false, tier: null, globalsKey: null, verifiedKey: null };
  assert.deepEqual(parseEvent(JSON.stringify({ event: "list", backups: [old] })), {
    event: "list",
    backups: [{ ...old, ...defaults }],
  });
  const restored = { database: "a", from: STAMP, previous: null, tables: 1, rows: 2 };
  const event = { event: "restored", ...restored, compared: true, elapsedMs: 3 };
  assert.deepEqual(parseEvent(JSON.stringify(event)), {
    ...event,
    undo: null,
    failed: [],
    differences: [],
    notRestored: [],
    server: null,
    loginRoles: [],
    way: null,
  });
  const progress = { event: "progress", step: "from the future", elapsedMs: 2 };
  assert.deepEqual(parseEvent(JSON.stringify(progress)), progress);
});

test("an event that lacks a field is refused by name", () => {
  assert.throws(() => parseEvent('{"event":"restored","database":"a"}'), {
    name: "Problem",
    message: /answered "restored" in a form that this version does not read \(from: .*pulumi up/,
  });
});
