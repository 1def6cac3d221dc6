import assert from "node:assert/strict";
import { test } from "node:test";
import { type DrillResult, keptCommands, printDrill } from "../../../cli/drill/drillReport.ts";
import { drillRecord } from "../../support/manifest.ts";
import { printed } from "../support/run.ts";

const result: DrillResult = {
  record: drillRecord({
    tables: 31,
    rows: 18_204_117,
    readMs: 9_000,
    loadMs: 24_000,
    totalMs: 52_000,
    rtoMs: 600_000,
    checks: [{ name: "no order without a customer", line: 2, passed: true, rows: 0, error: null }],
  }),
  bytes: 412_000_000,
  notRestored: [],
  checksFile: "drill.sql",
  recorded: { key: "backup/drills/x" },
  kept: null,
};
const lines = (over: Partial<DrillResult>) =>
  printed((screen) => printDrill(screen, { ...result, ...over }));

test("a drill that passed: steps, times, and the declared RTO", () => {
  assert.deepEqual(lines({}), [
    "  read and checked   412 MB                                              9.0 s",
    "  loaded                                                                  24 s",
    "  compared           31 tables, 18,204,117 rows: equal to the snapshot",
    "  your checks        1 of 1 passed (drill.sql)",
    "Passed in 52 s (declared RTO: 10 min). Recorded.",
  ]);
});

test("a check that did not pass is named with its line and its rows, or what the server said", () => {
  const check = { name: "totals agree", line: 7, passed: false, rows: 3, error: null };
  const checks = [check, { ...check, line: 9, rows: null, error: 'relation "x" does not exist' }];
  const reason = "2 of 2 checks did not pass.";
  const shown = lines({ record: { ...result.record, checks, verdict: "failed", reason } });
  assert.deepEqual(shown.slice(-3), [
    "Did not pass: totals agree (line 7): 3 rows",
    'Did not pass: totals agree (line 9): relation "x" does not exist',
    "Failed: 2 of 2 checks did not pass. Recorded.",
  ]);
});

test("one that could not run says nothing of the backup", () => {
  const none = { readMs: null, loadMs: null, compared: false, checks: [] };
  const record = {
    ...result.record,
    ...none,
    verdict: "couldNotRun" as const,
    reason: "Docker's engine does not run.",
  };
  assert.deepEqual(lines({ record, recorded: { failure: "the key may not." } }), [
    "Could not run, so nothing is known of the backup: Docker's engine does not run.",
  ]);
});

test("the server that stays can be reached and removed by the commands that are printed", () => {
  const kept = { container: "drill-1", volume: "drill-1", superuser: "it's me" };
  assert.deepEqual(keptCommands(kept, "shop"), {
    reach: `docker exec --interactive --tty drill-1 psql --username 'it'\\''s me' --dbname shop`,
    remove: "docker rm --force --volumes drill-1 && docker volume rm drill-1",
  });
});
