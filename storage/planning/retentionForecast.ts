import type { ObjectLock } from "../bucket/objectLock.ts";
import { atMost, describeCost, gigabytes, type MonthlyCost, monthlyCost } from "./costs.ts";
import { minimumDays } from "./prices.ts";

/** One kind of backup with an expiry of its own: all of them, or those of one tier. */
export interface RetentionRule {
  /** `backup`, or `weekly backup` and the like. */
  readonly name: string;
  /** Longest time between two of them that follow each other, hours. */
  readonly longestGapHours: number;
  /** How many are made in a day, on average. */
  readonly perDay: number;
  /** Days until one expires. */
  readonly days: number;
  /** How many of the longest gaps one must outlive: two, so that a failed run leaves no hole, or one. */
  readonly gaps: 1 | 2;
}

/** All that decides which backups exist at a moment. */
export interface RetentionPlan {
  /** The schedule as the user wrote it. */
  readonly schedule: string;
  readonly rules: readonly RetentionRule[];
  /** Days that an expired or deleted backup can still be brought back; 0 in a bucket without versions. */
  readonly noncurrentDays: number;
  /** Days that Object Lock forbids deletion; absent: no lock. */
  readonly lockDays?: number;
  readonly lockMode?: ObjectLock["mode"];
  readonly transitions?: readonly { readonly days: number; readonly storageClass: string }[];
  /** Name in the table of providers. */
  readonly provider: string;
  /** Size of one stored backup, bytes, where it is known. */
  readonly backupBytes?: number;
  /** Price of the bucket's storage, US dollars for 10^9 bytes in a month, where the user gave one. */
  readonly usdPerGbMonth?: number;
}

/** What the plan comes to once it has run for longer than its longest retention. */
export interface RetentionForecast {
  /** Backups that can be restored. */
  readonly restorable: number;
  /** Objects in the bucket: three for each backup, those that expired and can still be brought back among them. */
  readonly objects: number;
  readonly bytes?: number;
  readonly monthly?: MonthlyCost;
  /** What works, but is likely not what was meant. One sentence each. */
  readonly warnings: readonly string[];
}

/** Dump, roles, manifest. */
const OBJECTS_PER_BACKUP = 3;

/** What a plan without contradictions comes to. */
export function forecast(plan: RetentionPlan): RetentionForecast {
  const { provider, noncurrentDays, transitions = [], backupBytes, usdPerGbMonth } = plan;
  const restorable = sum(plan.rules.map(({ perDay, days }) => atMost(perDay, days)));
  const kept = sum(plan.rules.map(({ perDay, days }) => atMost(perDay, days + noncurrentDays)));
  const least = minimumDays(provider, "STANDARD");
  const shortest = Math.min(...plan.rules.map(({ days }) => days)) + noncurrentDays;
  const warnings =
    least > shortest
      ? [
          `${provider} bills every object for at least ${daysOf(least)}; a backup that is gone after ${daysOf(shortest)} costs as much as one that stays.`,
        ]
      : [];
  if (backupBytes === undefined) {
    return { restorable, objects: kept * OBJECTS_PER_BACKUP, warnings };
  }
  const bytes = kept * backupBytes;
  const monthly =
    transitions.length === 0 ? monthlyCost(provider, bytes, usdPerGbMonth) : undefined;
  return {
    restorable,
    objects: kept * OBJECTS_PER_BACKUP,
    bytes,
    ...(monthly && { monthly }),
    warnings,
  };
}

/** The forecast in one sentence, for the preview. */
export function describeForecast({ restorable, objects, bytes, monthly }: RetentionForecast) {
  const size = bytes === undefined ? "" : `, ${gigabytes(bytes)}`;
  const cost = monthly === undefined ? "" : `, ${describeCost(monthly)}`;
  return `keeps ${restorable} backups to restore from, ${objects} objects in all${size}${cost}`;
}

/** `1 day`, `30 days` */
export function daysOf(days: number): string {
  return days === 1 ? "1 day" : `${days} days`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
