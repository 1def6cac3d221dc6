import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { METRIC_NAMES } from "../../../agent/notify/prometheus.ts";
import { isOnPath } from "../../../cli/doctor/localChecks.ts";

const RULES = "docs/ci/prometheus-alerts.yml";
const DASHBOARD = "docs/ci/grafana-dashboard.json";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets: readonly { readonly expr: string }[];
}

const namesIn = (text: string) =>
  [...text.matchAll(/postgres_backup_[a-z_]+/g)].map(([name]) => name);

test("the alert rules are about figures that the agent writes", () => {
  const { groups } = parse(readFileSync(RULES, "utf8")) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  assert.equal(rules.length, 5);
  for (const { alert, expr, labels, annotations } of rules) {
    const names = namesIn(expr);
    assert.ok(names.length > 0, alert);
    for (const name of names) assert.ok(METRIC_NAMES.includes(name), `${alert}: ${name}`);
    assert.match(labels.severity, /^(critical|warning)$/);
    assert.ok(annotations["summary"] && annotations["description"], alert);
  }
});

test("the dashboard shows every figure that the agent writes but three, on a grid without overlap", () => {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, "utf8")) as { panels: Panel[] };
  const { panels } = dashboard;
  const shown = new Set(
    panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr))),
  );
  const missing = METRIC_NAMES.filter((name) => !shown.has(name));
  // Of a second bucket, which few have; and the times by which the others are chosen.
  assert.deepEqual(missing, [
    "postgres_backup_last_run_timestamp_seconds",
    "postgres_backup_last_copy_timestamp_seconds",
    "postgres_backup_last_drill_timestamp_seconds",
  ]);
  for (const name of shown) assert.ok(METRIC_NAMES.includes(name), name);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  assert.equal(new Set(cells).size, cells.length);
  for (const cell of cells) assert.ok(Number(cell.split(",")[0]) < 24);
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
});

const promtool = isOnPath("promtool", process.env["PATH"]);
test("Prometheus itself reads the rules, and each alert is raised when it should be", {
  skip: !promtool && "promtool is not on PATH (Debian's package prometheus has it)",
}, () => {
  execFileSync("promtool", ["check", "rules", RULES], { stdio: "pipe" });
  const tests = "test/agent/notify/alerts.promtool.yml";
  execFileSync("promtool", ["test", "rules", tests], { stdio: "pipe" });
});
