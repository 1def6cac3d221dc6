import { atMost, describeCost, gigabytes, inGb, monthlyCost } from "./costs.ts";
import type { RetentionPlan } from "./retentionForecast.ts";

/**
 * What a lock in compliance mode obliges to pay, in one sentence for the preview: nothing can shorten it. Undefined for
 * a lock that an administrator can lift, and without one.
 */
export function describeLockBill(plan: RetentionPlan): string | undefined {
  const { lockMode, lockDays, backupBytes, provider, rules, usdPerGbMonth } = plan;
  if (lockMode !== "compliance" || lockDays === undefined) return undefined;
  const perDay = rules.reduce((total, rule) => total + rule.perDay, 0);
  const locked = atMost(perDay, lockDays);
  const backups = locked === 1 ? "1 backup is" : `${locked} backups are`;
  const obliged = `lock: ${backups} locked at any time for ${lockDays} days each`;
  if (backupBytes === undefined) {
    return `${obliged}, and billed whatever happens. Set backupBytes, the size of one stored backup, to see what that comes to.`;
  }
  const bytes = locked * backupBytes;
  const cost =
    plan.transitions === undefined ? monthlyCost(provider, bytes, usdPerGbMonth) : undefined;
  const price =
    cost === undefined
      ? `no list price of ${provider} is known here; usdPerGbMonth takes one`
      : describeCost(cost);
  return `${obliged}, ${gigabytes(bytes)}: at least ${inGb(bytes)} GB-months a month are billed whatever happens (${price}).`;
}
