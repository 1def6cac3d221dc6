import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sizeAnomaly, snapshotAnomaly } from "../../../agent/backup/anomaly.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";

const table = (name: string, partition = false) => ({
  oid: 1,
  schema: "public",
  name,
  estimate: -1,
  partition,
});

function reference(over: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    database: "app",
    takenAt: "2026-11-23T03:15:02Z",
    object: { key: "backup/app", bytes: 1000, sha256: "0".repeat(64) },
    globals: null,
    format: "pg_dump-custom",
    compression: "zstd",
    encryption: "none",
    recipients: [],
    tier: null,
    suspect: null,
    server: { version: "17.6", major: 17, systemIdentifier: "7", lsn: null },
    pgDump: "pg_dump (PostgreSQL) 17.6",
    databaseBytes: 1,
    tables: [
      { schema: "public", name: "orders", rows: 1, exact: true },
      { schema: "public", name: "orders_2026", rows: 1, exact: true, partition: true },
    ],
    largeObjects: 0,
    durationMs: 1,
    ...over,
  };
}

describe("the guard's judgement", () => {
  const anomaly = (tables: string[], systemIdentifier: string | null = "7", before = reference()) =>
    snapshotAnomaly({ tables: tables.map((name) => table(name)), systemIdentifier }, before);

  it("finds nothing where all tables are there, also with new ones and without old partitions", () => {
    assert.equal(anomaly(["orders", "users"]), null);
  });

  it("names what is wrong", () => {
    assert.match(anomaly([]) ?? "", /has no table, 2 in the backup of 2026-11-23T03:15:02Z/);
    assert.match(anomaly(["users"]) ?? "", /^table public\.orders is gone/);
    assert.match(anomaly(["orders"], "8") ?? "", /another server: system identifier 8, 7 in/);
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const many = reference({
      tables: names.map((name) => ({ schema: "s", name, rows: 0, exact: true })),
    });
    assert.match(anomaly(["x"], "7", many) ?? "", /^7 tables are gone.*s\.a, .*s\.e and 2 more$/);
  });

  it("lets the tables go that are named as transient, and no others", () => {
    const tables = ["import_1", "import_2", "orders"].map((name) => ({
      schema: name === "import_2" ? "staging" : "public",
      name,
      rows: 100,
      exact: true,
    }));
    const before = reference({ tables });
    const judged = (present: string[], ...transient: string[]) =>
      snapshotAnomaly(
        { tables: present.map((name) => table(name)), systemIdentifier: "7" },
        before,
        transient,
      );
    assert.equal(judged(["orders"], "import_*"), null);
    assert.equal(judged(["orders"], "staging.*", "public.import_1"), null);
    assert.match(judged(["orders"], "staging.*") ?? "", /^table public\.import_1 is gone/);
    assert.match(judged(["import_1"], "import_*") ?? "", /^table public\.orders is gone/);
    assert.match(judged([], "import_*") ?? "", /has no table/);
    assert.equal(judged([], "import_*", "orders"), null);
    assert.match(judged(["orders"], "import.*", "mport_1", "IMPORT_*") ?? "", /^2 tables are gone/);
  });

  it("does not judge what one side could not read", () => {
    assert.equal(anomaly(["orders"], null), null);
  });

  it("weighs the size against the share that is allowed", () => {
    const { tables } = reference();
    const size = (bytes: number, maxShrinkPercent: number) =>
      sizeAnomaly({ bytes, compression: "zstd", encryption: "none", tables }, reference(), {
        maxShrinkPercent,
      });
    assert.equal(size(500, 50), null);
    assert.match(size(499, 50) ?? "", /shrank by 50 % since .*: 499 bytes, 1000 before/);
    assert.equal(size(1, 100), null);
    assert.equal(size(5000, 1), null);
  });

  it("weighs the rows of the other tables where transient ones were emptied or are gone", () => {
    const rows = (counts: Record<string, number>) =>
      Object.entries(counts).map(([name, count]) => ({
        schema: "public",
        name,
        rows: count,
        exact: true,
      }));
    const before = reference({ tables: rows({ import_1: 900, orders: 100 }) });
    const judged = (counts: Record<string, number>, ...transientTables: string[]) =>
      sizeAnomaly(
        { bytes: 100, compression: "zstd", encryption: "none", tables: rows(counts) },
        before,
        { maxShrinkPercent: 50, transientTables },
      );
    assert.equal(judged({ orders: 100 }, "import_*"), null);
    assert.equal(judged({ import_1: 0, orders: 50 }, "import_*"), null);
    const lost = judged({ import_2: 1, orders: 49 }, "import_*") ?? "";
    assert.match(lost, /lost 51 % of their rows since .*: 49 rows, 100 before/);
    assert.match(judged({ import_1: 900, orders: 100 }, "import_*") ?? "", /shrank by 90 %/);
    assert.match(judged({ orders: 100 }) ?? "", /shrank by 90 %/);
  });
});
