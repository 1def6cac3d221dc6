import { Problem } from "../../common/problem.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import { type DriftReport, printReport, writeJobSummary } from "../backups/driftReport.ts";
import { judgeDrills, unprovenIdentity } from "../backups/drillFreshness.ts";
import { judgeDatabases, overwrittenText } from "../backups/freshness.ts";
import { readReach } from "../backups/reach.ts";
import { judgeReach } from "../backups/reachFreshness.ts";
import { readBackups, type Source, type StoredBackups, sourcesOf } from "../backups/source.ts";
import { describeUploads, readActivity } from "../session/activity.ts";
import { AgentError, type Container, ContainerDown } from "../session/agentCall.ts";
import { inspectContainer } from "../session/container.ts";
import { forCopy } from "../session/copy.ts";
import { describeDatabases, isOneOfSeveral } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import { type Difference, findDifferences } from "../stack/differences.ts";
import { healingCommand } from "../stack/project.ts";
import { previewRefresh, type StackChoice } from "../stack/pulumi.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { formatAge, plural, stampTime } from "../terminal/format.ts";

/**
 * Compares reality with what was declared: cloud and host through the Pulumi engine, data through the agent or, where it
 * cannot list, in the bucket.
 * @returns the exit code: 0 clean, 7 drift
 * @throws Problem when the check itself could not be made
 */
export async function drift(session: Session, stack: StackChoice): Promise<number> {
  const { screen } = session;
  screen.waiting("reading every resource of the stack");
  const refreshed = findDifferences(
    await previewRefresh(stack),
    healingCommand(stack.cwd),
    session.container.up,
  );
  const [unseen] = refreshed.notChecked.filter(({ failed }) => failed);
  if (unseen !== undefined && refreshed.differences.length === 0) {
    throw new Problem(`the check could not be made: ${unseen.subject}: ${unseen.reason}`);
  }
  screen.waiting("reading the backups");
  const backups = await judgeBackups(session, stack, refreshed.differences);
  const copy = forCopy(session);
  const known = [...refreshed.differences, ...backups.differences];
  const copies = copy && (await judgeBackups(copy, stack, known));
  const health = backups.source === "container" ? await judgeHealth(session) : NOTHING;
  // They cost money and no listing of objects shows them, but a backup drops them: nothing that was declared differs.
  const activity = backups.source === "container" ? await readActivity(session) : undefined;
  const reach = await judgeRecovery(session, stack);
  const report: DriftReport = {
    differences: [
      ...refreshed.differences,
      ...health.differences,
      ...backups.differences,
      ...(copies?.differences ?? []),
      ...reach.differences,
    ],
    notChecked: [...refreshed.notChecked, ...health.notChecked, ...reach.notChecked],
    notes: [
      ...backups.notes,
      ...(copies?.notes ?? []),
      ...describeUploads(activity, Date.now()),
      ...(refreshed.others === 0
        ? []
        : [
            `${plural(refreshed.others, "resource")} of the stack outside the backup also differ from the state: pulumi refresh --preview-only`,
          ]),
    ],
  };
  printReport(screen, report);
  await writeJobSummary(describeDatabases(session), report);
  const { differences, notChecked, notes } = report;
  const seen = { backups: backups.source, ...(copies && { copies: copies.source }) };
  screen.document({ drift: differences.length > 0, differences, notChecked, notes, seen });
  return differences.length > 0 ? EXIT.badNews : EXIT.well;
}

/** What is known of the age of the backups, or copies, of each database. */
interface DataReport extends Pick<DriftReport, "differences" | "notes"> {
  /** null: of one database at least nobody has listed them. */
  readonly source: Source | null;
}

/**
 * Judges the age of the newest backup of each database. Not to know it breaks the check, unless drift explains it: the
 * known differences, or the missing container.
 * @throws Problem when the check is broken
 */
async function judgeBackups(
  session: Session,
  stack: StackChoice,
  known: readonly Difference[],
): Promise<DataReport> {
  const { backup, container, databases } = session;
  const now = Date.now();
  const stored = await readBackups(sourcesOf(session, stack), databases);
  const { agentFailure, failure } = stored;
  const isDown = agentFailure instanceof ContainerDown;
  if (failure !== undefined && known.length === 0 && !isDown) throw failure;
  const what = session.ofCopy ? "newest copy" : "newest backup";
  const overwritten = overwrittenText(stored);
  const marks = overwritten === undefined ? [] : [`overwritten: ${overwritten}`];
  const judged = judgeDatabases(backup, stored, now);
  const late = judged
    .filter(({ source, withinRpo }) => source !== null && !withinRpo)
    .map(({ database, latest, missing }): Difference => {
      const named = isOneOfSeveral(backup) && database !== "";
      return {
        plane: "data",
        subject: named ? `${what} of ${database}` : what,
        declared: `RPO ${backup.rpoHours} h`,
        found: latest ? `${formatAge(now - stampTime(latest.stamp))} old` : (missing ?? "none"),
        remedy: `see why: docker logs ${container.name}`,
      };
    });
  const drills = session.ofCopy ? NO_DRILLS : drillReport(session, stored.listings, now);
  marks.push(...drills.notes);
  // The second bucket has the same backups.
  if (!session.ofCopy) {
    const reminders = stored.listings.map((listing) => unprovenIdentity(listing, now));
    marks.push(...new Set(reminders.filter((reminder) => reminder !== undefined)));
  }
  const differences = [
    ...late,
    ...drills.differences,
    ...(isDown && known.length === 0 ? [downDifference(container)] : []),
  ];
  if (agentFailure === undefined) return { source: "container", differences, notes: marks };
  // Where nobody could ask the container, "no drift" would be said of a host that is gone.
  const wasAsked = isDown || agentFailure instanceof AgentError;
  if (!wasAsked && known.length === 0 && differences.length === 0) {
    const ages = judged.map(({ database, text }) => [database, text].filter(Boolean).join(": "));
    throw new Problem(
      `the check could not be made: ${agentFailure.message} The bucket itself says: ${ages.join("; ")}.`,
      { cause: agentFailure },
    );
  }
  if (failure !== undefined) {
    const note = `the age of the ${what} could not be judged: ${failure.message}`;
    return { source: null, differences, notes: [...marks, note] };
  }
  const [of, unknown] =
    stored.databases === null
      ? [" of each database", ", without knowing which databases the server has now"]
      : ["", ""];
  const note = `the ${what}${of} was read from the bucket${unknown}: ${agentFailure.message}`;
  return { source: "bucket", differences, notes: [...marks, note] };
}

const NO_DRILLS = { differences: [], notes: [] };

/** Databases whose newest drill that passed is older than declared. */
function drillReport(
  { backup, commandLine }: Session,
  listings: StoredBackups["listings"],
  now: number,
): Pick<DriftReport, "differences" | "notes"> {
  const everyMs = backup.drill?.everyMs;
  if (everyMs === undefined) return NO_DRILLS;
  const differences: Difference[] = [];
  const notes: string[] = [];
  for (const listing of listings) {
    const named = isOneOfSeveral(backup);
    const of = named ? ` of ${listing.database}` : "";
    const judged = judgeDrills(backup, listing, now);
    if (judged === undefined) notes.push(`the age of the newest drill${of} is not known`);
    else if (!judged.inTime) {
      const words = named ? `--database ${shellQuote(listing.database)} drill` : "drill";
      differences.push({
        plane: "data",
        subject: `newest drill${of}`,
        declared: `every ${formatAge(everyMs)}`,
        found: judged.text,
        remedy: commandLine(words),
      });
    }
  }
  return { differences, notes };
}

type HealthReport = Pick<DriftReport, "differences" | "notChecked">;

const NOTHING: HealthReport = { differences: [], notChecked: [] };

/** The recovery to any second, where it is declared. */
async function judgeRecovery(session: Session, stack: StackChoice): Promise<HealthReport> {
  const { pointInTime, container } = session.backup;
  if (pointInTime === undefined) return NOTHING;
  session.screen.waiting("reading the WAL");
  try {
    const { found } = await readReach(session, stack);
    const { differences } = judgeReach(pointInTime, found, container, Date.now());
    return { ...NOTHING, differences };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const subject = "point-in-time recovery";
    return { ...NOTHING, notChecked: [{ subject, reason: error.message, failed: true }] };
  }
}

/** A container that runs and is not fit to back up, as after a backup that failed. */
async function judgeHealth({ container }: Session): Promise<HealthReport> {
  const subject = `${container.host} ${container.name}`;
  const state = await inspectContainer(container).catch((error: unknown) => {
    if (error instanceof Problem) return error;
    throw error;
  });
  if (state instanceof Problem) {
    const reason = `its health: ${state.message}`;
    return { ...NOTHING, notChecked: [{ subject, reason, failed: true }] };
  }
  if (!state.running || state.health !== "unhealthy") return NOTHING;
  const row = {
    plane: "host",
    subject,
    declared: "healthy",
    found: state.remark ?? state.health,
    remedy: `see why: docker logs ${container.name}`,
  } as const;
  return { ...NOTHING, differences: [row] };
}

/** The container went down after the engine had looked. */
function downDifference({ host, name, up }: Container): Difference {
  return {
    plane: "host",
    subject: `${host} ${name}`,
    declared: "running",
    found: "not running",
    remedy: `${up} starts it`,
  };
}
