import assert from "node:assert/strict";
import { it } from "node:test";
import { isCopyDue } from "../../../agent/backup/copyDestination.ts";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import { backupEntry } from "../../support/manifest.ts";

const entry = (stamp: string, over: Partial<CatalogueEntry> = {}) =>
  backupEntry(stamp, { database: "shop", ...over });
const NEWEST = "2026-11-24T03:15:02";

const ROWS: [what: string, every: string | undefined, now: string, due: boolean][] = [
  ["without a rhythm always", undefined, "2026-11-24T03:15:03", true],
  ["@daily: not on the same day", "@daily", "2026-11-24T23:59:59", false],
  ["@daily: with the first backup of the next", "@daily", "2026-11-25T00:00:00", true],
  ["a cron time that has not come", "15 3 * * 0", "2026-11-28T23:00:00", false],
  ["a cron time that has passed", "15 3 * * 0", "2026-11-29T03:15:01", true],
  ["@every: a second early is no reason to wait a day", "@every 24h", "2026-11-25T03:15:01", true],
  ["@every: ten minutes early at most", "@every 24h", "2026-11-25T03:05:01", false],
  ["@every: a tenth of a short one", "@every 10m", "2026-11-24T03:24:03", true],
  ["@every: not more than a tenth", "@every 10m", "2026-11-24T03:23:59", false],
];

for (const [what, every, now, due] of ROWS) {
  it(`a copy is due: ${what}`, () => {
    const clock = { jitterSeconds: 0, timezone: "UTC" };
    assert.equal(isCopyDue(every, [entry(NEWEST)], new Date(`${now}Z`), clock), due);
  });
}

it("a copy is due: no good one is there, whatever else is", () => {
  const entries = [
    entry("2026-11-24T03:10:00", { suspect: true }),
    entry("2026-11-24T03:09:00", { manifestKey: null }),
  ];
  const clock = { jitterSeconds: 0, timezone: "UTC" };
  assert.equal(isCopyDue("@yearly", entries, new Date("2026-11-24T03:15:00Z"), clock), true);
  assert.equal(isCopyDue("@yearly", [], new Date("2026-11-24T03:15:00Z"), clock), true);
});

it("a copy is due: the only one there is ahead of time", () => {
  const ahead = entry("2099-01-01T00:00:00", { storedAt: "2026-11-28T00:00:00.000Z" });
  const clock = { jitterSeconds: 0, timezone: "UTC" };
  assert.equal(isCopyDue("@daily", [ahead], new Date("2030-01-01T00:00:00Z"), clock), true);
  const entries = [ahead, entry(NEWEST)];
  assert.equal(isCopyDue("@daily", entries, new Date("2026-11-24T23:59:59Z"), clock), false);
});

it("a copy is due: the delay of runs, and the container's time zone, are taken into account", () => {
  const entries = [entry(NEWEST)];
  const early = new Date("2026-11-25T02:30:00Z");
  const jitter = { jitterSeconds: 3600, timezone: "UTC" };
  assert.equal(isCopyDue("@every 24h", entries, early, jitter), true);
  const paris = { jitterSeconds: 0, timezone: "Europe/Paris" };
  assert.equal(isCopyDue("@daily", entries, new Date("2026-11-24T23:00:00Z"), paris), true);
  assert.equal(isCopyDue("@daily", entries, new Date("2026-11-24T22:59:59Z"), paris), false);
});
