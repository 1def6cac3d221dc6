import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { Schedule } from "../../common/schedule/schedule.ts";
import { aws, matchHost, other, type Provider } from "../../storage/address/providers.ts";
import { describeLockBill } from "../../storage/planning/lockCost.ts";
import {
  describeForecast,
  proveRetention,
  type RetentionPlan,
  rulesOf,
} from "../../storage/planning/retentionForecast.ts";
import { explained } from "../pulumi/resourceError.ts";

/** How long a bucket of ours keeps what it is given. */
export interface BucketKeeping
  extends Pick<
    RetentionPlan,
    "noncurrentDays" | "lockDays" | "lockMode" | "transitions" | "provider"
  > {
  /** Days until a backup expires; with tiers, a daily one. */
  readonly days: number;
  readonly tiers?: { readonly weekly: number; readonly monthly: number };
}

/** How often there is a new one. */
export type Rhythm = Pick<Schedule, "longestGapHours" | "runsPerDay" | "toString">;

/** What the user knows and the bucket does not. */
export type Amounts = Pick<RetentionPlan, "backupBytes" | "usdPerGbMonth">;

/**
 * Proves, before anything is made, that the bucket's rules keep backups of this schedule as they promise, and says at
 * preview what that comes to, and what a lock that nobody can lift obliges to.
 * @param what the bucket is, in front of each message @default nothing, for the bucket of the backups
 */
export function checkRetention(
  resource: pulumi.Resource,
  schedule: Rhythm,
  keeping: BucketKeeping,
  amounts: Amounts,
  what = "",
): void {
  const { days, tiers, ...rest } = keeping;
  const rhythm = { longestGapHours: schedule.longestGapHours(), perDay: schedule.runsPerDay() };
  const plan: RetentionPlan = {
    ...rest,
    ...amounts,
    schedule: schedule.toString(),
    rules: rulesOf(rhythm, days, tiers),
  };
  const forecast = explained(resource, () => named(what, () => proveRetention(plan)));
  for (const warning of forecast.warnings) pulumi.log.warn(`${what}${warning}`, resource);
  if (!pulumi.runtime.isDryRun()) return;
  pulumi.log.info(`${what}${describeForecast(forecast)}`, resource);
  const bill = describeLockBill(plan);
  if (bill !== undefined) pulumi.log.warn(`${what}${bill}`, resource);
}

function named<T>(what: string, prove: () => T): T {
  try {
    return prove();
  } catch (error) {
    if (what === "" || !(error instanceof Problem)) throw error;
    throw new Problem(`${what}${error.message}`, { cause: error });
  }
}

/** Whose prices, minimum storage periods and parts hold, as far as that is known before anything is made. */
export function providerOf(endpoint: pulumi.Input<string | undefined>): Provider {
  if (endpoint === undefined) return aws;
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return other;
  return matchHost(new URL(endpoint).hostname)?.provider ?? other;
}
