import type { ActivityEvent, KeptDatabase } from "../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { formatAge, formatDuration, formatStamp, plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import { OlderAgent, runAgent } from "./agentCall.ts";
import type { Session } from "./session.ts";

/** What goes on in the container, and what restores have left there. */
export type Activity = Omit<ActivityEvent, "event">;

/**
 * Asks the agent. It is beside the point of `status`, so that a failure is none of the command's.
 * @returns undefined where an agent of an earlier version knows no such question; a Problem where it was not answered
 */
export async function readActivity({
  container,
}: Pick<Session, "container">): Promise<Activity | Problem | undefined> {
  try {
    const { event: _, ...activity } = await runAgent(container, ["activity"], "activity");
    return activity;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error instanceof OlderAgent ? undefined : error;
  }
}

/** Rows of `status`; what is as usual has none. */
export function describeActivity(
  activity: Activity | Problem | undefined,
  now: number,
): string[][] {
  if (activity === undefined) return [];
  if (activity instanceof Problem) return [["activity", `not known: ${activity.message}`]];
  const { runs, kept, records, remarks } = activity;
  const unfinished = (kept ?? []).filter(({ kind }) => kind === "unfinished");
  const replaced = (kept ?? []).filter(({ kind }) => kind !== "unfinished");
  const size = (all: typeof replaced) =>
    formatBytes(all.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0));
  const [last] = records ?? [];
  return [
    ...runs.map(({ words, startedAt }) => [
      "running",
      `${words}, for ${formatAge(now - Date.parse(startedAt))}; to stop it: cancel`,
    ]),
    ...(last === undefined
      ? []
      : [
          [
            `last ${last.action}`,
            `${formatStamp(last.startedAt.slice(0, 19))} UTC of ${last.database}, ${last.result} after ${formatDuration(last.elapsedMs)}`,
          ],
        ]),
    ...(replaced.length === 0
      ? []
      : [["kept", `${plural(replaced.length, "earlier database")}, ${size(replaced)}: see kept`]]),
    // Each by its size, as long as they are few.
    ...(replaced.length > MOST_KEPT ? [] : replaced).map((one) => ["", describeKept(one)]),
    ...(unfinished.length === 0
      ? []
      : [
          [
            "left over",
            paint.uncertain(
              `${plural(unfinished.length, "unfinished restore")}, ${size(unfinished)}, ${runs.some(({ command }) => command === "restore") ? "one of them may be running" : "dropped by the next restore"}: see kept`,
            ),
          ],
        ]),
    ...describeUploads(activity, now).map((text) => ["uploads", text]),
    // A key that may not list uploads is as it should be.
    ...remarks
      .filter((remark) => !remark.startsWith("unfinished uploads are not known"))
      .map((remark) => ["activity", remark]),
  ];
}

/** More of them are counted only: kept has them all. */
const MOST_KEPT = 5;

function describeKept({ name, bytes, dropAfter }: KeptDatabase): string {
  const size = bytes === null ? "size not known" : formatBytes(bytes);
  const end =
    dropAfter === null ? "" : `, dropped after ${formatStamp(dropAfter.slice(0, 16))} UTC`;
  return `${name}, ${size}${end}`;
}

/** A line about the uploads that were begun and not ended, if there are any and they are known. */
export function describeUploads(
  activity: Activity | Problem | undefined,
  now: number,
): readonly string[] {
  if (activity === undefined || activity instanceof Problem) return [];
  const { uploads } = activity;
  if (uploads === null || uploads.count === 0) return [];
  const { count, oldest } = uploads;
  const age = oldest === null ? "" : `, the oldest ${formatAge(now - Date.parse(oldest))} old`;
  return [`${plural(count, "unfinished upload")}${age}; a backup drops those older than a day`];
}
