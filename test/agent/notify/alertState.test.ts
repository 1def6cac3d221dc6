import assert from "node:assert/strict";
import { test } from "node:test";
import { alertOf } from "../../../agent/notify/alert.ts";
import { turnOf } from "../../../agent/notify/alertState.ts";
import { LastLines } from "../../../agent/notify/lastLines.ts";
import type { DatabaseResult } from "../../../agent/notify/runSummary.ts";
import { formatOfAddress } from "../../../common/contracts/agentEnvironment/notifications.ts";
import { alertLine, readAlertLine } from "../../../common/contracts/containerState.ts";
import { alertKey, parseAlertKey } from "../../../storage/catalogue/objectKeys.ts";

const good = (database: string): DatabaseResult => ({ database, durationMs: 1 });
const bad = (database: string | null, error = "no space."): DatabaseResult => ({
  database,
  durationMs: 1,
  error,
});

test("a failure is reported once, its end once, and nothing in between", () => {
  const runs: [DatabaseResult[], failed: string[], recovered: string[]][] = [
    [[good("shop"), good("queue")], [], []],
    [[bad("shop"), good("queue")], ["shop"], []],
    [[bad("shop", "another reason."), good("queue")], [], []],
    [[bad("shop"), bad("queue")], ["queue"], []],
    [[good("shop"), bad("queue")], [], ["shop"]],
    [[good("shop"), good("queue")], [], ["queue"]],
    [[good("shop")], [], []],
    [[bad(null)], [""], []],
    [[bad(null)], [], []],
    [[good("shop")], [], [""]],
  ];
  let failing: ReadonlySet<string> = new Set();
  for (const [results, failed, recovered] of runs) {
    const turn = turnOf(failing, results);
    assert.deepEqual(
      [turn.failed.map(({ database }) => database ?? ""), turn.recovered],
      [failed, recovered],
    );
    const message = alertOf(turn, ["a line"]);
    assert.equal(message === undefined, failed.length + recovered.length === 0);
    failing = turn.failing;
  }
});

test("the message names what failed, why, and what to type; its end has no log", () => {
  const failed = alertOf(turnOf(new Set(), [bad("shop"), bad("queue", "gone.")]), ["dumping"]);
  assert.match(failed?.title ?? "", /^Backup of shop, queue failed on /);
  assert.deepEqual(failed?.sentences, ["shop: no space.", "queue: gone."]);
  assert.deepEqual(failed?.log, ["dumping"]);
  assert.match(JSON.stringify(failed?.commands), /kamal-postgres-backup doctor.*docker logs/);
  const over = alertOf(turnOf(new Set(["", "a", "b", "c"]), ["a", "b", "c"].map(good)), ["x"]);
  assert.match(over?.title ?? "", /^Backup of a, b, c and 1 more works again on /);
  assert.deepEqual(over?.log, []);
});

test("what was reported is remembered as it was written", () => {
  const names = ["shop", "", "a\nb_2026", "ü/é.failing.json"];
  assert.deepEqual([...readAlertLine(alertLine(names))], names);
  assert.equal(alertLine(names).split("\n").length, 1);
  assert.deepEqual([...readAlertLine("half a li")], []);
  const at = new Date("2026-11-30T03:15:02.123Z");
  for (const database of names) {
    for (const state of ["failing", "well"] as const) {
      const key = alertKey("shop/production", { at, database, state });
      assert.match(key, /^shop\/production\/alerts\/2026-11-30T03:15:02\.123_[^/]*\.json$/);
      assert.deepEqual(parseAlertKey("shop/production", key), { database, state });
    }
  }
  for (const key of [
    "alerts/x",
    "p/alerts/x.failing.json",
    "p/alerts/2026-11-30T03:15:02_%.well.json",
  ]) {
    assert.equal(parseAlertKey("p", key), undefined);
  }
});

test("the last lines of a run, without its secrets", () => {
  const lines = new LastLines((text) => text.replaceAll("s3cret", "***"));
  const seen: string[] = [];
  const report = lines.watch({
    event: () => {},
    line: (text) => seen.push(text),
    warn: (text) => seen.push(text),
    error: () => {},
  });
  for (let i = 0; i < 20; i += 1) report.line(`line ${i}`);
  report.warn("a s3cret\nsecond");
  assert.equal(seen.length, 21);
  assert.deepEqual(lines.lines.slice(-3), ["line 19", "a ***", "second"]);
  assert.equal(lines.lines.length, 8);
});

test("the form that a service takes is known by its address", () => {
  const rows = [
    ["https://hooks.slack.com/services/T0/B0/x", "slack"],
    ["https://discord.com/api/webhooks/1/x/slack", "slack"],
    ["https://discord.com/api/webhooks/1/x", "json"],
    ["https://acme.webhook.office.com/webhookb2/x", "teams"],
    ["https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig=y", "teams"],
    ["https://default1.0a.environment.api.powerplatform.com/powerautomate/x", "teams"],
    ["https://hooks.slack.com.evil.example/x", "json"],
    ["https://chat.example.com/hooks/x", "json"],
  ] as const;
  for (const [address, format] of rows) assert.equal(formatOfAddress(address), format, address);
});
