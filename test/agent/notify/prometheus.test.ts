import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { renderMetrics } from "../../../agent/notify/prometheus.ts";
import type { DatabaseResult } from "../../../agent/notify/runSummary.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { backupManifest } from "../../support/manifest.ts";

const NOW = new Date("2026-11-24T03:16:00.400Z");

function manifest(database: string, rows: number): Manifest {
  return backupManifest({
    database,
    object: { key: "k", bytes: 5120, sha256: "0".repeat(64) },
    databaseBytes: 9,
    tables: [{ schema: "public", name: "t", rows, exact: true }],
    durationMs: 58_250,
  });
}

const good = (database: string, rows = 7): DatabaseResult => ({
  database,
  manifest: manifest(database, rows),
  durationMs: 58_250,
});

describe("renderMetrics", () => {
  it("is Prometheus text, sorted, with meaning and kind of each figure", () => {
    const text = renderMetrics("", [good("shop"), good("queue")], NOW);
    assert.equal(
      text.split("\n").slice(0, 4).join("\n"),
      `# HELP postgres_backup_last_success_timestamp_seconds Snapshot time of the newest good backup.
# TYPE postgres_backup_last_success_timestamp_seconds gauge
postgres_backup_last_success_timestamp_seconds{database="queue"} 1795490102
postgres_backup_last_success_timestamp_seconds{database="shop"} 1795490102`,
    );
    assert.match(
      text,
      /^postgres_backup_last_run_timestamp_seconds\{database="shop"\} 1795490160$/m,
    );
    assert.match(text, /^postgres_backup_last_run_duration_seconds\{database="shop"\} 58.25$/m);
    assert.match(text, /^postgres_backup_size_bytes\{database="shop"\} 5120$/m);
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{database="[^"]+"\} [\d.]+)$/);
    }
  });

  it("has what the bucket holds and the newest drill, and keeps them while they are not known", () => {
    const figures = {
      next_due_timestamp_seconds: 1795576500,
      stored_backups: 30,
      stored_bytes: 12_000,
      last_drill_timestamp_seconds: 1795000000,
      last_drill_success: 0,
      last_drill_duration_seconds: 52,
    } as const;
    const text = renderMetrics("", [good("shop")], NOW, new Map([["shop", figures]]));
    for (const [name, value] of Object.entries(figures)) {
      assert.match(
        text,
        new RegExp(`^postgres_backup_${name}\\{database="shop"\\} ${value}$`, "m"),
      );
    }
    const failed = renderMetrics(text, [{ database: "shop", error: "no", durationMs: 1 }], NOW);
    assert.match(failed, /^postgres_backup_stored_backups\{database="shop"\} 30$/m);
  });

  it("keeps the last success of a database that failed, and the others", () => {
    const before = renderMetrics("", [good("shop"), good("queue")], NOW);
    const later = new Date(NOW.getTime() + 3_600_000);
    const text = renderMetrics(before, [{ database: "shop", error: "no", durationMs: 10 }], later);
    assert.match(text, /last_success_timestamp_seconds\{database="shop"\} 1795490102$/m);
    assert.match(text, /last_run_timestamp_seconds\{database="shop"\} 1795493760$/m);
    assert.match(text, /last_run_success\{database="shop"\} 0$/m);
    assert.match(text, /rows\{database="shop"\} 7$/m);
    assert.match(text, /last_run_success\{database="queue"\} 1$/m);
  });

  it("a run that ended before the databases were known has failed for each of them", () => {
    const before = renderMetrics("", [good("shop"), good("queue")], NOW);
    const text = renderMetrics(before, [{ database: null, error: "no", durationMs: 10 }], NOW);
    assert.match(text, /last_run_success\{database="shop"\} 0$/m);
    assert.match(text, /last_run_success\{database="queue"\} 0$/m);
    assert.match(text, /rows\{database="queue"\} 7$/m);
    assert.equal(text.match(/last_run_success\{/g)?.length, 2);
  });

  it("counts no suspect backup as a success", () => {
    const text = renderMetrics("", [{ ...good("shop"), error: "it shrank" }], NOW);
    assert.doesNotMatch(text, /last_success_timestamp_seconds\{/);
    assert.match(text, /last_run_success\{database="shop"\} 0$/m);
  });

  it("reads back names of any kind, and drops what is not its own", () => {
    const odd = 'we"ird \\ näme\n2';
    const before = renderMetrics("node_load1 0.3\n", [good(odd, 41)], NOW);
    assert.doesNotMatch(before, /node_load1/);
    const again = renderMetrics(before, [good("shop")], NOW);
    assert.equal(again.split("\n").filter((line) => / 41$/.test(line)).length, 1);
    assert(again.includes('{database="we\\"ird \\\\ näme\\n2"} 41'));
  });
});
