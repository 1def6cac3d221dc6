import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { Problem } from "../../common/problem.ts";
import { dueAfter } from "../../common/schedule/nextRun.ts";
import { parseScheduleOf } from "../../common/schedule/schedule.ts";
import { aws, matchHost, other, type Provider } from "../../storage/address/providers.ts";
import { describeForecast } from "../../storage/planning/retentionForecast.ts";
import { proveRetention, rulesOf } from "../../storage/planning/retentionProof.ts";
import { isFailed, judgeDrills } from "../backups/drillFreshness.ts";
import { judgeDatabases } from "../backups/freshness.ts";
import { type Listing, readBackups, type StoredBackups, sourcesOf } from "../backups/source.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { formatAge, formatStamp } from "../terminal/format.ts";
import { type Check, type Finding, fail, needs, ok, skipped, warn } from "./check.ts";

/** What is known of the container when the backups are looked at. */
interface ContainerFacts {
  /** Why it cannot be asked for the backups, so that the bucket is. */
  readonly unavailable: Problem | undefined;
  /** How long it has been running: the first backup of a new one is not yet due. */
  readonly runningMs: number | undefined;
}

/** What the backups themselves say. */
export function backupChecks(
  session: () => Session,
  stack: StackChoice,
  container: () => ContainerFacts,
): Check[] {
  let newestBytes: number | undefined;
  let stored: StoredBackups | undefined;
  return [
    { name: "schedule", needs: ["stack"], look: () => judgeSchedule(session().backup, new Date()) },
    {
      name: "newest backup",
      needs: ["stack"],
      look: async () => {
        const one = session();
        const { unavailable, runningMs } = container();
        stored = await readBackups(sourcesOf(one, stack), one.databases, unavailable);
        const judged = judgeDatabases(one.backup, stored, Date.now(), runningMs);
        newestBytes = judged.find(({ latest }) => latest)?.latest?.bytes;
        const text = judged
          .map(({ database, text }) => (judged.length > 1 ? `${database}: ${text}` : text))
          .join("; ");
        if (stored.failure !== undefined) throw stored.failure;
        if (judged.every(({ withinRpo }) => withinRpo)) return ok(text);
        return fail(text, `Take one now: ${one.commandLine("backup")}`);
      },
    },
    {
      name: "drill",
      needs: ["stack"],
      look: () =>
        stored === undefined || stored.failure !== undefined
          ? needs("newest backup")
          : judgeTrials(session().backup, stored.listings, Date.now()),
    },
    {
      name: "retention",
      needs: ["schedule"],
      look: () => judgeRetention(session().backup, newestBytes),
    },
  ];
}

/** When the next one is due, and whether the schedule can keep the RPO at all. */
export function judgeSchedule({ schedule, rpoHours }: BackupOutputs, now: Date): Finding {
  const gap = parseScheduleOf("schedule", schedule).longestGapHours();
  const due = formatStamp(dueAfter(schedule, now).toISOString().slice(0, 16));
  const text = `"${schedule}", next ${due} UTC (in ${formatAge(Date.parse(`${due}Z`) - now.getTime())})`;
  if (gap <= rpoHours) return ok(text);
  return warn(
    `"${schedule}" leaves up to ${Math.ceil(gap)} h between two backups, RPO ${rpoHours} h`,
    "Back up more often, or declare a longer rpoHours.",
  );
}

/** What drills have shown of each database; the worst decides. */
export function judgeTrials(
  backup: BackupOutputs,
  listings: readonly Listing[],
  now: number,
): Finding {
  const remedy = "Restore one into a throw-away server: npx kamal-postgres-backup drill.";
  const findings = listings.map((listing): Finding => {
    if (listing.drills === undefined) return skipped("the agent is older than drills");
    const judged = judgeDrills(backup, listing, now);
    if (judged === undefined) return warn("no backup has been restored on trial yet", remedy);
    const { inTime, passed, newest, text } = judged;
    if (!inTime || isFailed(newest)) return fail(text, remedy);
    return passed === undefined ? warn(text, remedy) : ok(text);
  });
  const [worst = skipped("no database is known")] = (["fail", "skipped", "warn", "ok"] as const)
    .map((state) => findings.find((finding) => finding.state === state))
    .filter((finding) => finding !== undefined);
  const text = listings
    .map(({ database }, i) => [database, findings[i]?.text].join(": "))
    .join("; ");
  return listings.length > 1 ? { ...worst, text } : worst;
}

/** @param bytes of the newest backup, where it is known */
export function judgeRetention(
  { schedule, retentionDays, tierDays, location }: BackupOutputs,
  bytes: number | undefined,
): Finding {
  if (retentionDays === undefined) {
    return warn(
      "how long the bucket keeps backups was not declared",
      "Declare retention, so that it can be checked against the schedule.",
    );
  }
  const rhythm = parseScheduleOf("schedule", schedule);
  const { daily, ...tiers } = tierDays ?? { daily: retentionDays };
  const plan = {
    schedule,
    rules: rulesOf(
      { longestGapHours: rhythm.longestGapHours(), perDay: rhythm.runsPerDay() },
      daily,
      "weekly" in tiers ? (tiers as { weekly: number; monthly: number }) : undefined,
    ),
    noncurrentDays: 0,
    provider: providerAt(location).name,
    ...(bytes !== undefined && bytes > 0 && { backupBytes: bytes }),
  };
  const forecast = proveRetention(plan);
  const [warning] = forecast.warnings;
  if (warning !== undefined) return warn(warning, "Keep longer, or choose another provider.");
  return ok(describeForecast(forecast));
}

function providerAt({ endpoint }: BackupOutputs["location"]): Provider {
  if (endpoint === undefined) return aws;
  return matchHost(new URL(endpoint).hostname)?.provider ?? other;
}
