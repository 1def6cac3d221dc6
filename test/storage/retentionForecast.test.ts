// tag: cloud

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeLockBill } from "../../storage/planning/lockCost.ts";
import { priceOf } from "../../storage/planning/prices.ts";
import { describeForecast, type RetentionPlan } from "../../storage/planning/retentionForecast.ts";
import { proveRetention, rulesOf } from "../../storage/planning/retentionProof.ts";

const DAY = 24;
const daily = { longestGapHours: DAY, perDay: 1 };
const tiers = { weekly: 60, monthly: 365 };

function plan(changes: Partial<RetentionPlan> = {}): RetentionPlan {
  return {
    schedule: "15 3 * * *",
    rules: rulesOf(daily, 30),
    noncurrentDays: 14,
    provider: "AWS",
    ...changes,
  };
}

const CONTRADICTIONS: readonly [what: string, Partial<RetentionPlan>, lines: readonly string[]][] =
  [
    [
      "expiry before the next backup",
      {
        schedule: "0 3 1 * *",
        rules: rulesOf({ longestGapHours: 31 * DAY, perDay: 12 / 365 }, 7),
      },
      [
        "schedule and retention contradict each other",
        'given   schedule "0 3 1 * *" (up to 31 days from one backup to the next), retention 7 days',
        "then    from day 8 to day 31 after each backup no backup exists",
        "do      keep at least 62 days, or back up at least every 3 days",
      ],
    ],
    [
      "expiry before the one after a failed run",
      { rules: rulesOf(daily, 1) },
      [
        "then    when one backup fails, none exists on day 2 after the one before it",
        "do      keep at least 2 days, or back up at least every 12 hours",
      ],
    ],
    [
      "a weekly tier that is empty at times",
      { rules: rulesOf(daily, 10, { weekly: 12, monthly: 365 }) },
      [
        "(up to 15 days from one weekly backup to the next), retention 12 days",
        "then    from day 13 to day 15 after each weekly backup no weekly backup exists",
        "do      keep at least 15 days, or take the tiers out",
      ],
    ],
    [
      "a monthly tier that is empty at times",
      { rules: rulesOf(daily, 10, { weekly: 28, monthly: 30 }) },
      ["then    from day 31 to day 32 after each monthly backup no monthly backup exists"],
    ],
    [
      "a lock longer than the retention",
      { lockDays: 60 },
      [
        "lock and retention contradict each other",
        "given   lock 60 days, retention 30 days",
        "do      lock for at most 30 days, or keep at least 60 days",
      ],
    ],
    [
      "a lock longer than the shortest tier's retention",
      { lockDays: 45, rules: rulesOf(daily, 30, tiers) },
      ["given   lock 45 days, retention 30 days"],
    ],
    [
      "a move after everything has expired",
      { transitions: [{ days: 30, storageClass: "STANDARD_IA" }] },
      ["then    every backup has expired before it would be moved"],
    ],
    [
      "a stay that is shorter than what is billed",
      { transitions: [{ days: 25, storageClass: "GLACIER_IR" }] },
      [
        "given   a move to GLACIER_IR after 25 days, retention 30 days and 14 more for what expired",
        "then    each backup stays there for 19 days and is billed for 90 days at AWS",
        "do      keep at least 101 days, or take the transition out",
      ],
    ],
    [
      "the same at another service",
      {
        provider: "Cloudflare R2",
        noncurrentDays: 0,
        transitions: [{ days: 20, storageClass: "STANDARD_IA" }],
      },
      ["is billed for 30 days at Cloudflare R2", "do      keep at least 50 days"],
    ],
  ];

describe("contradictions are refused with what was given, what would follow, and what to do", () => {
  for (const [what, changes, lines] of CONTRADICTIONS) {
    it(what, () => {
      assert.throws(
        () => proveRetention(plan(changes)),
        (error: Error) => {
          assert.equal(error.name, "Problem");
          for (const line of lines) assert.ok(error.message.includes(line), error.message);
          return true;
        },
      );
    });
  }
});

const KEPT: readonly [what: string, Partial<RetentionPlan>, sentence: string][] = [
  ["without a size: counts alone", {}, "keeps 30 backups to restore from, 132 objects in all"],
  [
    "with a size: bytes, and the cost by the price that the user gave",
    { backupBytes: 500e6, usdPerGbMonth: 0.023 },
    "keeps 30 backups to restore from, 132 objects in all, 22.0 GB, about 0.51 USD a month by usdPerGbMonth",
  ],
  [
    "a service without a price",
    { backupBytes: 1e6, provider: "Hetzner" },
    "keeps 30 backups to restore from, 132 objects in all, 44.0 MB",
  ],
  [
    "a service without versions",
    { backupBytes: 1e9, provider: "Cloudflare R2", noncurrentDays: 0 },
    "keeps 30 backups to restore from, 90 objects in all, 30.0 GB, about 0.45 USD a month by the list price of 2026-06-13",
  ],
  [
    "tiers",
    { rules: rulesOf(daily, 10, tiers), noncurrentDays: 0 },
    // 0.824 a day for 10 days, one a week for 60 days, 12 a year for 365 days; each rounded up.
    "keeps 30 backups to restore from, 90 objects in all",
  ],
  [
    "with a transition no cost, because it would take two prices",
    { backupBytes: 1e9, transitions: [{ days: 10, storageClass: "STANDARD_IA" }] },
    "keeps 30 backups to restore from, 132 objects in all, 44.0 GB",
  ],
];

describe("what a plan comes to", () => {
  for (const [what, changes, sentence] of KEPT) {
    it(what, () => {
      assert.equal(describeForecast(proveRetention(plan(changes))), sentence);
    });
  }

  it("a service that bills every object for longer is warned about, not refused", () => {
    const { warnings } = proveRetention(plan({ provider: "Wasabi" }));
    assert.match(warnings.join(), /Wasabi bills every object for at least 90 days.*after 44 days/);
    assert.deepEqual(proveRetention(plan({ provider: "AWS" })).warnings, []);
  });

  it("a price has the day of its list, and a service without one gets none", () => {
    assert.match(priceOf("Cloudflare R2", "STANDARD")?.asOf ?? "", /^20\d\d-\d\d-\d\d$/);
    assert.equal(priceOf("AWS", "STANDARD"), undefined);
  });

  for (const change of [{ backupBytes: Number.NaN }, { backupBytes: 0 }, { usdPerGbMonth: -1 }]) {
    it(`${JSON.stringify(change)} is refused`, () => {
      assert.throws(() => proveRetention(plan(change)), {
        name: "Problem",
        message: /^(backupBytes|usdPerGbMonth) is .*; give a number above 0/,
      });
    });
  }
});

describe("the bill of a lock that nobody can lift", () => {
  const locked = (changes: Partial<RetentionPlan> = {}) =>
    describeLockBill(plan({ lockDays: 14, lockMode: "compliance", ...changes }));
  const bills: readonly [what: string, Partial<RetentionPlan>, sentence: RegExp][] = [
    [
      "says what to set where the size is not known",
      {},
      /^lock: 14 backups are .* Set backupBytes/,
    ],
    [
      "is in GB-months where no price is known",
      { backupBytes: 500e6 },
      /for 14 days each, 7\.0 GB: at least 7\.0 GB-months a month .* \(no list price of AWS is known here; usdPerGbMonth/,
    ],
    [
      "has the price where there is one",
      { backupBytes: 500e6, usdPerGbMonth: 0.023 },
      /at least 7\.0 GB-months .* \(about 0\.16 USD a month by usdPerGbMonth\)/,
    ],
    [
      "counts the backups of every tier",
      { backupBytes: 1e9, rules: rulesOf({ longestGapHours: 6, perDay: 4 }, 30, tiers) },
      /^lock: 56 backups are locked .* at least 56\.0 GB-months/,
    ],
    ["is exact below a gigabyte", { backupBytes: 1e6 }, /, 14\.0 MB: at least 0\.014 GB-months/],
  ];
  for (const [what, changes, sentence] of bills) {
    it(what, () => assert.match(locked(changes) ?? "", sentence));
  }

  it("is none in governance mode or without a lock", () => {
    assert.equal(locked({ lockMode: "governance" }), undefined);
    assert.equal(describeLockBill(plan()), undefined);
  });
});
