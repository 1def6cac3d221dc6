import type * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { Schedule } from "../../common/schedule/schedule.ts";
import { aws, matchHost, other, type Provider } from "../../storage/address/providers.ts";
import { describeLockBill } from "../../storage/planning/lockCost.ts";
import { checkTierOrder, isWholeDays, Retention } from "../../storage/planning/retention.ts";
import { describeForecast, type RetentionPlan } from "../../storage/planning/retentionForecast.ts";
import {
  proveRetention,
  type RetentionNames,
  rulesOf,
} from "../../storage/planning/retentionProof.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";

/** How long a bucket keeps what it is given. */
export interface BucketKeeping
  extends Pick<
    RetentionPlan,
    "noncurrentDays" | "lockDays" | "lockMode" | "transitions" | "provider"
  > {
  /** Days until a backup expires; with tiers, a daily one. */
  readonly days: number;
  readonly tiers?: { readonly weekly: number; readonly monthly: number };
  /** Days until base backups and WAL expire, where the bucket has rules of their own for them. */
  readonly pointInTimeDays?: number;
}

/** How often there is a new one. */
export type Rhythm = Pick<Schedule, "longestGapHours" | "runsPerDay" | "toString">;

/** What the user knows and the bucket does not. */
export type Amounts = Pick<RetentionPlan, "backupBytes" | "usdPerGbMonth">;

export interface RetentionCheck {
  readonly rhythm: Rhythm;
  readonly keeping: BucketKeeping;
  readonly amounts: Amounts;
  /** How messages name the two settings. */
  readonly names: RetentionNames;
  /** The bucket in front of each message that is no error. @default nothing, for the bucket of the backups */
  readonly subject?: string;
}

/**
 * Proves, before anything is made, that the bucket's rules keep backups of this rhythm as they promise, and says at
 * preview what that comes to, and what a lock that nobody can lift obliges to.
 * @throws Problem when rhythm and rules contradict each other
 */
export function checkRetention(
  { rhythm, keeping, amounts, names, subject }: RetentionCheck,
  log: ResourceLog,
): void {
  const { days, tiers, pointInTimeDays: _, ...rest } = keeping;
  const plan: RetentionPlan = {
    ...rest,
    ...amounts,
    schedule: rhythm.toString(),
    rules: rulesOf(
      { longestGapHours: rhythm.longestGapHours(), perDay: rhythm.runsPerDay() },
      days,
      tiers,
    ),
  };
  const about = subject === undefined ? "" : `${subject}: `;
  const forecast = proveRetention(plan, names);
  for (const warning of forecast.warnings) log.warn(`${about}${warning}`);
  if (!log.preview) return;
  log.info(`${about}${describeForecast(forecast)}`);
  const bill = describeLockBill(plan);
  if (bill !== undefined) log.warn(`${about}${bill}`);
}

/** Whose prices, minimum storage periods and parts hold, as far as that is known before anything is made. */
export function providerOf(endpoint: pulumi.Input<string | undefined>): Provider {
  if (endpoint === undefined) return aws;
  if (typeof endpoint !== "string" || !URL.canParse(endpoint)) return other;
  return matchHost(new URL(endpoint).hostname)?.provider ?? other;
}

/**
 * The retention that a configuration gives, whose values no types have checked.
 * @param setting as whoever set it calls it
 * @throws Problem that names the setting and what was found
 */
export function retentionInDays(days: unknown, setting: string): Retention {
  return Retention.days(checkedDays(days, setting));
}

/** The same in tiers, an object of `daily`, `weekly` and `monthly`. */
export function retentionInTiers(tiers: unknown, setting: string): Retention {
  if (typeof tiers !== "object" || tiers === null || Array.isArray(tiers)) {
    throw new Problem(
      `${setting} is ${JSON.stringify(tiers)}. Give the days of each tier: ${setting}.daily, ${setting}.weekly and ${setting}.monthly.`,
    );
  }
  const given = tiers as Readonly<Record<string, unknown>>;
  const of = (tier: string) => checkedDays(given[tier], `${setting}.${tier}`);
  const days = { daily: of("daily"), weekly: of("weekly"), monthly: of("monthly") };
  checkTierOrder(`${setting} ${JSON.stringify(days)}`, days);
  return Retention.tiers(days);
}

function checkedDays(days: unknown, setting: string): number {
  if (isWholeDays(days)) return days;
  const found = days === undefined ? "is missing" : `is ${JSON.stringify(days)}`;
  throw new Problem(`${setting} ${found}. Give a whole number of days from 1 to 36500.`);
}
