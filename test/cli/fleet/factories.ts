import type { Looked, StoredDatabase } from "../../../cli/fleet/look.ts";
import type { DrillRecord } from "../../../common/contracts/drillRecord.ts";
import { drillRecord } from "../../support/manifest.ts";
import { entryOf, outputs } from "../support/factories.ts";

export const NOW = Date.parse("2026-11-30T10:00:00Z");

/** Stamp of so many hours before `NOW`. */
export function before(hours: number): string {
  return new Date(NOW - hours * 3_600_000).toISOString().slice(0, 19);
}

/** A drill of so many hours ago that has passed within its objective. */
export function drillOf(hours: number, over: Partial<DrillRecord> = {}): DrillRecord {
  return drillRecord({
    database: "shop_production",
    backup: { stamp: before(hours + 3), key: "shop/production/x.dump" },
    startedAt: `${before(hours)}.000Z`,
    totalMs: 52_000,
    rtoMs: 600_000,
    rtoMet: true,
    ...over,
  });
}

/** A database with a backup each day, the newest seven hours old. */
export function storedOf(days: number, over: Partial<StoredDatabase> = {}): StoredDatabase {
  return {
    database: "shop_production",
    entries: Array.from({ length: days }, (_, i) =>
      entryOf(before(7 + 24 * i), { bytes: 412_000_000 - i * 1_000_000 }),
    ),
    drills: [drillOf(48)],
    ...over,
  };
}

export function lookedOf(over: Partial<Looked> = {}): Looked {
  return { stack: "production", backup: outputs, databases: [storedOf(30)], pending: 0, ...over };
}
