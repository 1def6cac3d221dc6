import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { judgeDrills } from "../backups/drillFreshness.ts";
import { type DatabaseFreshness, judgeDatabases, overwrittenText } from "../backups/freshness.ts";
import { readReach } from "../backups/reach.ts";
import { type JudgedReach, judgeReach } from "../backups/reachFreshness.ts";
import { readBackups, sourcesOf } from "../backups/source.ts";
import { describeActivity, readActivity } from "../session/activity.ts";
import { ContainerDown } from "../session/agentCall.ts";
import { type ContainerState, inspectContainer } from "../session/container.ts";
import { forCopy } from "../session/copy.ts";
import { describeDatabases } from "../session/databases.ts";
import type { Databases, Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { formatStamp } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";

/**
 * Shows the container, the newest backup and whether it is young enough. What the agent cannot list is read from the bucket.
 * @returns the exit code: `failed` where the container could not be inspected, or runs and nobody lists the backups or the copies;
 * `badNews` where it is not fit, its last run failed, or a backup or copy is too old
 */
export async function status(session: Session, stack: StackChoice): Promise<number> {
  const { backup, container, databases, screen } = session;
  const now = Date.now();
  const state = await inspectContainer(container, now).catch((error: unknown) => {
    if (error instanceof Problem) return error;
    throw error;
  });
  const inspected = !(state instanceof Problem);
  const down = inspected && !state.running;
  const unavailable = down ? new ContainerDown("the container does not run.") : undefined;
  const read = (one: Session, names: Databases) =>
    readBackups(sourcesOf(one, stack), names, inspected ? unavailable : state);
  const stored = await read(session, databases);
  const runningMs = inspected ? state.runningMs : undefined;
  const judged = judgeDatabases(backup, stored, now, runningMs);
  const copy = forCopy(session);
  const storedCopies = copy && (await read(copy, stored.databases));
  const activity = inspected && state.running ? await readActivity(session) : undefined;
  const copies =
    copy && storedCopies ? judgeDatabases(copy.backup, storedCopies, now, runningMs) : [];
  const overwritten = {
    backup: overwrittenText(stored),
    copy: storedCopies && overwrittenText(storedCopies),
  };
  // Of a container that is down, an unknown age is part of the answer.
  const error = down
    ? undefined
    : (stored.failure ?? storedCopies?.failure ?? (inspected ? undefined : state));
  // The bucket has answered in the agent's place; that the agent does not is bad news all the same.
  const agentFailure = stored.agentFailure ?? storedCopies?.agentFailure;
  const notListed = error === undefined && !down ? agentFailure?.message : undefined;
  const several = databases === null || databases.length > 1;
  const describe = (what: "backup" | "copy") => (one: DatabaseFreshness) =>
    describeFreshness(one, what, several ? one.database : "");
  const drills = stored.listings.flatMap((listing) => {
    const found = judgeDrills(backup, listing, now);
    return found ? [{ of: several ? ` of ${listing.database}` : "", judged: found, listing }] : [];
  });
  const reach = await recoveryOf(session, stack, now);
  const rows = [
    ["container", `${container.name} on ${container.host}`],
    ...(inspected ? describeState(state, container.up) : [["state", paint.bad("not known")]]),
    ["image", shortDigest((inspected && state.image) || backup.image)],
    ["schedule", backup.schedule.includes("TZ=") ? backup.schedule : `${backup.schedule} (UTC)`],
    ...judged.flatMap(describe("backup")),
    ...copies.flatMap(describe("copy")),
    ...(overwritten.backup === undefined
      ? []
      : [["overwritten", paint.uncertain(overwritten.backup)]]),
    ...(overwritten.copy === undefined
      ? []
      : [["overwritten copy", paint.uncertain(overwritten.copy)]]),
    ...drills.map(({ of, judged }) => [
      `drill${of}`,
      (judged.inTime ? paint.good : paint.bad)(judged.text),
    ]),
    ...(reach === undefined
      ? []
      : [["recovery", (reach.judged?.isWell === true ? paint.good : paint.bad)(reach.text)]]),
    ...describeActivity(activity, now),
    ...(notListed === undefined ? [] : [["agent", `lists no backups: ${notListed}`]]),
  ];
  const names = stored.databases?.join(", ") || describeDatabases(session);
  const { bucket, prefix } = backup.location;
  screen.line(`${paint.strong(names)}   s3://${bucket}/${prefix}`);
  screen.line();
  screen.table([{}, {}], rows, { indent: 2 });
  if (error !== undefined) screen.warn(`error: ${error.message}`);
  const documents = (all: readonly DatabaseFreshness[]) =>
    all.map((one) => ({ database: one.database, ...documentOf(one) }));
  screen.document({
    database: stored.databases?.[0] ?? (backup.database || null),
    host: container.host,
    container: {
      name: container.name,
      ...(inspected ? state : { running: null, status: "unknown" }),
    },
    schedule: backup.schedule,
    ...documentOf(judged[0]),
    ...(several && { withinRpo: allWithinRpo(judged) }),
    rpoHours: backup.rpoHours,
    ...(several && { databases: documents(judged) }),
    ...(copy && {
      copy: {
        location: copy.backup.location,
        rpoHours: copy.backup.rpoHours,
        databases: documents(copies),
      },
    }),
    ...(drills.length > 0 && {
      drills: drills.map(({ listing: { database }, judged: { newest, passed, inTime } }) => ({
        database,
        inTime,
        newest: newest ?? null,
        passedAt: passed?.startedAt ?? null,
      })),
    }),
    ...(reach !== undefined && { pointInTime: reach.document }),
    ...(activity !== undefined && !(activity instanceof Problem) && { activity }),
    ...(overwritten.backup !== undefined && { overwritten: overwritten.backup }),
    ...(overwritten.copy !== undefined && { overwrittenCopy: overwritten.copy }),
    ...(error && { error: error.message }),
    ...(notListed !== undefined && { agentError: notListed }),
  });
  if (error !== undefined) return EXIT.failed;
  const late = [...judged, ...copies].some(
    ({ source, withinRpo }) => source !== null && !withinRpo,
  );
  const undrilled = drills.some(({ judged: { inTime } }) => !inTime);
  const unreached = reach !== undefined && reach.judged?.isWell !== true;
  return late || undrilled || unreached || !inspected || !isFit(state) ? EXIT.badNews : EXIT.well;
}

/** The recovery to any second, where it is declared; why it is not known, where nobody can look. */
async function recoveryOf(
  session: Session,
  stack: StackChoice,
  now: number,
): Promise<{ judged?: JudgedReach; text: string; document: unknown } | undefined> {
  const { pointInTime, container } = session.backup;
  if (pointInTime === undefined) return undefined;
  try {
    const { found } = await readReach(session, stack);
    const judged = judgeReach(pointInTime, found, container, now);
    const { windows, gaps, alive, newestBase } = found;
    const document = { isWell: judged.isWell, windows, gaps, alive, newestBase };
    return { judged, text: judged.text, document };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { text: `not known: ${error.message}`, document: { error: error.message } };
  }
}

/** The whole digest is in the document. */
function shortDigest(image: string): string {
  return image.replace(/(?<=@sha256:[0-9a-f]{12})[0-9a-f]+$/, "…");
}

function isFit({ running, health }: ContainerState): boolean {
  return running && health !== "unhealthy";
}

/** @param up the command that starts it */
function describeState(state: ContainerState, up: string): string[][] {
  const fit = isFit(state);
  const details = [
    [state.status, state.since].filter(Boolean).join(" "),
    state.health ?? "",
    state.restarts > 0 ? `restarted ${state.restarts} times` : "",
    state.running ? "" : `${up} starts it`,
  ].filter(Boolean);
  return [
    ["state", (fit ? paint.good : paint.bad)(details.join(", "))],
    ...(state.remark === undefined ? [] : [["health", state.remark]]),
  ];
}

/** @param database empty where the backup has only one */
function describeFreshness(
  { latest, withinRpo, text, source }: DatabaseFreshness,
  what: "backup" | "copy",
  database: string,
): string[][] {
  const of = database === "" ? "" : ` of ${database}`;
  const verdict = [
    what === "copy" ? `verdict on copy${of}` : `verdict${of}`,
    (withinRpo ? paint.good : paint.bad)(text),
  ];
  if (source === null) return [verdict];
  const found = latest ? `${formatStamp(latest.stamp)} UTC, ${formatBytes(latest.bytes)}` : "none";
  return [
    [`newest ${what}${of}`, source === "bucket" ? `${found}, read from the bucket` : found],
    verdict,
  ];
}

/** Of several databases the worst: missed by one, else not known of one, else within. */
function allWithinRpo(judged: readonly DatabaseFreshness[]): boolean | null {
  const verdicts = judged.map((one) => documentOf(one).withinRpo);
  if (verdicts.includes(false)) return false;
  return verdicts.length === 0 || verdicts.includes(null) ? null : true;
}

function documentOf(judged: DatabaseFreshness | undefined) {
  if (judged === undefined) return { newest: null, withinRpo: null, seen: null };
  const { latest, withinRpo, source, text } = judged;
  return {
    newest: latest ? { stamp: latest.stamp, bytes: latest.bytes, key: latest.key } : null,
    withinRpo: source === null ? null : withinRpo,
    seen: source,
    ...(source === null && { error: text }),
  };
}
