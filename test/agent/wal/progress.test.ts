import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Progress } from "../../../agent/wal/progress.ts";
import type { WalLook } from "../../../agent/wal/server.ts";

function begun(t: TestContext, line?: string) {
  const folder = mkdtempSync(join(tmpdir(), "progress-"));
  t.after(() => rmSync(folder, { recursive: true }));
  if (line !== undefined) writeFileSync(join(folder, "agent.wal"), `${line}\n`);
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const report = { event: () => {}, line: say, warn: say, error: say };
  const progress = new Progress(report, folder);
  return { progress, said, line: () => readFileSync(join(folder, "agent.wal"), "utf8").trim() };
}

function look(second: number, written: bigint): WalLook {
  return {
    now: `2026-11-28T10:00:0${second}.000Z`,
    written,
    received: written,
    slot: { name: "kpb_1", restart: 100n, status: "reserved" },
    boundBytes: 1_000,
  };
}

test("a moment can be reached once the bucket has what the server had written then", (t) => {
  const { progress } = begun(t);
  progress.opened("kpb_1", 100n);
  progress.looked(look(1, 150n));
  progress.looked(look(2, 180n));
  assert.equal(progress.state().reachableTo, null);
  progress.stored(179n);
  assert.equal(progress.state().reachableTo, "2026-11-28T10:00:01.000Z");
  progress.stored(180n);
  const { reachableTo, heldBytes, archivedLsn } = progress.state();
  assert.deepEqual([reachableTo, heldBytes, archivedLsn], ["2026-11-28T10:00:02.000Z", 80, "0/B4"]);
});

test("one that ends again and again does not look well: it goes on from when all was in the bucket last", (t) => {
  const { progress, line } = begun(t, "1700000000 the bucket is away");
  progress.opened("kpb_1", 100n);
  progress.looked(look(1, 150n));
  assert.equal(line(), "1700000000");
  progress.stored(150n);
  progress.write();
  assert.notEqual(line(), "1700000000");
});

test("a failure is said once, whatever figures stand in it, and its end once; the first one on the way explains the others", (t) => {
  const { progress, said, line } = begun(t);
  progress.failed("bucket", "cannot write, try 1.");
  progress.failed("bucket", "cannot write, try 2.");
  progress.failed("server", "no answer.");
  assert.match(line(), /^\d+ no answer\.$/);
  progress.works("server");
  progress.works("bucket");
  progress.works("bucket");
  assert.deepEqual(said, [
    "WAL is not archived: cannot write, try 1. It is tried again.",
    "WAL is not archived: no answer. It is tried again.",
    "WAL is archived again.",
  ]);
});
