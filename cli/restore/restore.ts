import {
  type Entry,
  outcomeText,
  type PlannedEvent,
  type ProgressEvent,
  passwordStatement,
  type QuestionEvent,
  type RestoredEvent,
} from "../../common/contracts/agentEvents.ts";
import { partialText } from "../../common/contracts/leftOut.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { describeObjection } from "../../storage/catalogue/countingBackups.ts";
import { selectBackup } from "../backups/selectBackup.ts";
import { listByAgent, readBackups, sourcesOf } from "../backups/source.ts";
import { stateOf } from "../backups/states.ts";
import { type AgentCall, CannotAsk, runAgent } from "../session/agentCall.ts";
import { type CopyOption, chooseBucket, copyArguments } from "../session/copy.ts";
import { databaseArguments, forOneDatabase } from "../session/databases.ts";
import { identityInput, readIdentity } from "../session/identity.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { confirm, requireTerminal } from "../terminal/confirm.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { formatDuration, formatStamp, plural } from "../terminal/format.ts";
import { restoreLine } from "../terminal/progress.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

export interface RestoreOptions extends CopyOption {
  /** Restores beside, into a new database of this name; the live one is not touched. */
  readonly into?: string;
  /** With `latest`: the newest backup that was taken at this time or before it. */
  readonly notAfter?: string;
  /** The backup before the deploy of this revision, or of the one that begins so. */
  readonly beforeDeploy?: string;
  /** File with the private key, as `age-keygen` writes it. */
  readonly identity?: string;
  /** The private key itself, for a backup that was made for this restore. */
  readonly ownIdentity?: string;
  /** Makes the roles that the server lacks. @default false */
  readonly globals?: boolean;
  readonly allowPrivilegedRoles?: boolean;
  /** Takes a backup by its time although it may be somebody else's. @default false */
  readonly acceptOrigin?: boolean;
  /** Takes the server's own encoding and locale instead of the backup's. @default false */
  readonly serverLocale?: boolean;
  /** Folder in the container for the unpacked archive. */
  readonly scratch?: string;
  /** Connections that load at once, as they were typed. @default one for each core */
  readonly jobs?: string;
  /** Goes on after an error and lists each statement that fails. @default false */
  readonly keepGoing?: boolean;
  /** Lets less than the whole database take the live one's place. @default false */
  readonly allowIncomplete?: boolean;
  /** Everything belongs to the agent's role; grants are left out. @default false */
  readonly noOwner?: boolean;
  /** The same, but everything belongs to this role. */
  readonly role?: string;
  /** Only what lies in these schemas. */
  readonly schema?: readonly string[];
  /** Only these tables, with `*` for any characters, and what they need. */
  readonly table?: readonly string[];
  /** Not these tables, with `*` for any characters. */
  readonly excludeTable?: readonly string[];
  /** Hours after which the agent stops it, as they were typed. @default 24, or 1 for each 10 GB of the database */
  readonly maxHours?: string;
  /** How long the replaced database is kept at least, as it was typed: `7d`. @default until it is dropped by name */
  readonly dropAfter?: string;
  /** Checks everything and changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Goes on without asking. @default false */
  readonly yes?: boolean;
}

/**
 * Restores one backup, after the operator has read the plan and typed the name of the database that it goes into.
 * @param wanted `latest` or the time of a backup
 * @returns the exit code: 0, 2 where it kept going and something is missing, or 1 of a dry run that could only look into the bucket
 */
export async function restore(
  opened: Session,
  stack: StackChoice,
  wanted: string,
  options: RestoreOptions,
): Promise<number> {
  const session = chooseBucket(await forOneDatabase(opened), options);
  const { backup, container, screen } = session;
  const { database } = backup;
  const { into, notAfter, beforeDeploy } = options;
  if (beforeDeploy !== undefined && (wanted !== "latest" || notAfter !== undefined)) {
    throw new Problem(
      `--before-deploy ${beforeDeploy} chooses the backup by itself. Leave ${notAfter === undefined ? wanted : "--not-after"} out.`,
    );
  }
  if (options.into === undefined && options.table !== undefined) {
    throw new Problem(
      `--table ${options.table[0]} restores single tables, which never take the live database's place. Add --into NAME for a new database of that name.`,
    );
  }
  requireSensible(options, database);
  const ask = !options.yes && !options.dryRun;
  if (ask) requireTerminal(screen, "restore asks before it replaces a database");
  const identity =
    options.ownIdentity === undefined
      ? await readIdentity(options.identity)
      : identityInput([options.ownIdentity]);
  const { entries, unchecked } = options.dryRun
    ? await listForDryRun(session, stack)
    : { entries: await listByAgent(session) };
  const entry = selectBackup(session, entries, { wanted, notAfter, beforeDeploy });
  const plan = describePlan(database, container.host, entry, into);
  if (!ask) for (const line of plan) screen.line(line);
  if (unchecked !== undefined) return reportUnchecked(session, entry, unchecked);

  const args = [
    "restore",
    entry.stamp,
    ...databaseArguments(backup),
    ...copyArguments(session),
    ...(options.acceptOrigin ? ["--accept-origin"] : []),
    ...(options.scratch === undefined ? [] : ["--scratch", options.scratch]),
    ...(options.jobs === undefined ? [] : ["--jobs", options.jobs]),
    ...restoreArguments(options),
    ...(options.table ?? []).flatMap((name) => ["--table", name]),
    ...identity.args,
  ];
  const line = restoreLine();
  const call = {
    ...identity.call,
    onProgress: (event: ProgressEvent) => screen.progress(line(event)),
    onStderrLine: (line: string) => {
      // The questions and the result have all of them.
      if (!line.startsWith("Not restored: ")) screen.warn(line);
    },
  };
  if (options.dryRun) {
    const planned = await runAgent(container, [...args, "--dry-run", "--yes"], "planned", call);
    for (const line of describePlanned(planned)) screen.line(line);
    const { event: _, ...result } = planned;
    screen.document({ ...result, host: container.host, dryRun: true });
    return 0;
  }
  const onQuestion = questions(screen, plan, into ?? database, options);
  const restored = await runRestore(
    session,
    args,
    { ...call, codes: [0, EXIT.lessThanWhole] },
    onQuestion,
  );
  const undo = restored.undo === null ? null : session.commandLine(restored.undo);
  printResult(screen, entry, restored);
  if (undo !== null) {
    screen.line("To swap back:");
    screen.exactLine(`  ${undo}`);
    if (options.dropAfter !== undefined) {
      screen.line(
        `The first scheduled backup after ${options.dropAfter} drops ${restored.previous}. kept shows when.`,
      );
    }
  }
  printAfterwards(screen, entry, restored, into);
  const { event: _, ...result } = restored;
  screen.document({ ...result, host: container.host, key: entry.key, undo });
  return isIncomplete(restored) ? EXIT.lessThanWhole : 0;
}

/** @throws Problem when options contradict each other, or the live database */
export function requireSensible(options: Omit<RestoreOptions, "table">, database: string): void {
  const { into } = options;
  if (into === "") {
    throw new Problem("--into has no name. Give the new database one: --into NAME");
  }
  if (into === database) {
    throw new Problem(
      `--into ${into} is the live database. Leave --into away to replace it, or name a new database.`,
    );
  }
  if (options.keepGoing === true && into === undefined && options.allowIncomplete !== true) {
    throw new Problem(
      "--keep-going restores what can be loaded, so give it a new database: --into NAME. With --allow-incomplete it takes the live database's place.",
    );
  }
  if (into !== undefined && options.dropAfter !== undefined) {
    throw new Problem(
      `--drop-after is for the database that a restore replaces, and --into ${into} replaces none. Leave one of the two out.`,
    );
  }
}

/** Manifests that are read from the bucket for the plan of a dry run. */
const MANIFESTS = 50;

/**
 * What a dry run can choose from: while host or container are gone, what lies in the bucket.
 * @returns besides, why the agent was not asked
 */
async function listForDryRun(
  session: Session,
  stack: StackChoice,
): Promise<{ readonly entries: readonly Entry[]; readonly unchecked?: Problem }> {
  const sources = sourcesOf(session, stack, MANIFESTS);
  const { listings, agentFailure, failure } = await readBackups(sources, session.databases);
  if (failure !== undefined) throw failure;
  const entries = listings.flatMap((listing) => listing.entries);
  return { entries, ...(agentFailure && { unchecked: agentFailure }) };
}

/** The backup is there; whether a server takes it was not tried. */
function reportUnchecked(
  { backup, container, screen }: Session,
  { stamp, key, bytes }: Entry,
  unchecked: Problem,
): number {
  const { database } = backup;
  const error = `only the bucket could be looked into, where this backup lies: ${unchecked.message}`;
  screen.warn(`error: ${error}`);
  const found = { database, from: stamp, key, bytes, host: container.host };
  screen.document({ ...found, dryRun: true, seen: "bucket", error });
  return EXIT.failed;
}

/** With an agent of an earlier version only the plan is asked about, before it begins. */
async function runRestore(
  { container, screen }: Session,
  args: readonly string[],
  call: AgentCall,
  onQuestion: NonNullable<AgentCall["onQuestion"]>,
): Promise<RestoredEvent> {
  try {
    return await runAgent(container, [...args, "--ask"], "restored", { ...call, onQuestion });
  } catch (error) {
    if (!(error instanceof CannotAsk)) throw error;
    screen.warn(`${error.message} Until then, what a restore loses is listed only at its end.`);
  }
  const plan: QuestionEvent = { event: "question", question: "", name: "", notRestored: [] };
  await onQuestion(plan, new AbortController().signal);
  return runAgent(container, [...args, "--yes"], "restored", call);
}

/** Lines of a list of what is not restored that stand before a question. */
const MOST_LOSSES = 12;

/**
 * Answers the agent: the first question is the plan, each one after it is about what has turned out since to be lost.
 * --yes agrees to the plan, and to more only with --allow-incomplete.
 */
export function questions(
  screen: Screen,
  plan: readonly string[],
  name: string,
  { yes, allowIncomplete }: Pick<RestoreOptions, "yes" | "allowIncomplete">,
): NonNullable<AgentCall["onQuestion"]> {
  let planned = false;
  return async ({ question, notRestored }, signal) => {
    const first = !planned;
    planned = true;
    const losses = describeLosses(notRestored, first);
    if (yes) {
      for (const line of losses) screen.line(line);
      if (first || allowIncomplete) return true;
      throw new Problem(
        `more would be lost than was known when --yes agreed: ${notRestored.join("; ")}. "${name}" was not touched. Restore in a terminal without --yes to be asked, agree beforehand with --allow-incomplete, or restore beside it with --into NAME.`,
      );
    }
    if (first) await confirm(screen, [...plan, ...losses], name, { signal });
    else {
      const unchanged = `"${name}" was not touched`;
      await confirm(screen, [question.replace(/\?$/, ""), ...losses], name, { unchanged, signal });
    }
    return true;
  };
}

function describeLosses(notRestored: readonly string[], first: boolean): string[] {
  const shown = notRestored.slice(0, MOST_LOSSES);
  const more = notRestored.length - shown.length;
  const lines = shown.map((item) => `${paint.uncertain("Will not be restored")}: ${item}`);
  if (more === 0) return lines;
  return [...lines, `... and ${more} more${first ? ": restore --dry-run lists all" : ""}.`];
}

export function isIncomplete({ failed, differences }: RestoredEvent): boolean {
  return failed.length > 0 || differences.length > 0;
}

/** Where to, what of it, and as whose: the same whatever the data comes from. */
export function restoreArguments(options: Omit<RestoreOptions, "table">): string[] {
  const { into, globals, allowPrivilegedRoles, serverLocale, maxHours, dropAfter } = options;
  const { keepGoing, allowIncomplete, noOwner, role, schema = [], excludeTable = [] } = options;
  return [
    ...(into === undefined ? [] : ["--into", into]),
    ...(globals ? ["--globals"] : []),
    ...(allowPrivilegedRoles ? ["--allow-privileged-roles"] : []),
    ...(serverLocale ? ["--server-locale"] : []),
    ...(maxHours === undefined ? [] : ["--max-hours", maxHours]),
    ...(dropAfter === undefined ? [] : ["--drop-after", dropAfter]),
    ...(keepGoing ? ["--keep-going"] : []),
    ...(allowIncomplete ? ["--allow-incomplete"] : []),
    ...(noOwner ? ["--no-owner"] : []),
    ...(role === undefined ? [] : ["--role", role]),
    ...schema.flatMap((name) => ["--schema", name]),
    ...excludeTable.flatMap((name) => ["--exclude-table", name]),
  ];
}

/** What is going to happen, in two lines. */
export function describePlan(
  database: string,
  host: string,
  entry: Entry,
  into?: string,
): string[] {
  const { manifest } = entry;
  const rows = manifest ? `, ${plural(totalRows(manifest), "row")}` : "";
  const state = stateOf(entry);
  const note =
    state === "legacy"
      ? ", made by the old image: nothing to compare it with"
      : state === "suspect"
        ? `, suspect: ${manifest?.suspect ?? "see its manifest"}`
        : describeOriginProblem(entry);
  const partial = manifest ? partialText(manifest) : null;
  const warning = partial === null ? [] : [`${paint.uncertain("This backup is")} ${partial}.`];
  const from = `from ${formatStamp(entry.stamp)} UTC (${formatBytes(entry.bytes)}${rows}${note})`;
  return into === undefined
    ? [
        `Restore ${database} on ${host} ${from}`,
        ...warning,
        `The current database is kept as ${database}_before_<time>.`,
      ]
    : [
        `Restore ${database} on ${host} into ${into} ${from}`,
        ...warning,
        `${database} is not touched.`,
      ];
}

function describeOriginProblem({ originProblem }: Entry): string {
  return originProblem ? `, may be somebody else's: ${describeObjection(originProblem)}` : "";
}

/** The finished steps, and the sentence that the restore is done. */
function printResult(screen: Screen, entry: Entry, restored: RestoredEvent): void {
  const { compared, previous } = restored;
  const partial = entry.manifest ? partialText(entry.manifest) : null;
  const tables = plural(restored.tables, "table");
  const size = formatBytes(entry.bytes);
  const steps = [
    ...(compared
      ? [
          ["read and checked", size],
          ["restored", tables],
          [
            "compared",
            `${tables}, ${plural(restored.rows, "row")}: ${comparisonOf(restored, partial !== null)}`,
          ],
        ]
      : [["read and restored", `${size}; without a manifest there is nothing to compare with`]]),
    ...(previous === null ? [] : [["swapped", `the previous database is kept as ${previous}`]]),
  ];
  screen.table([{}, {}], steps, { indent: 2 });
  for (const { entry: failed, error, outcome } of restored.failed) {
    screen.line(`${paint.bad("Failed")}: ${failed} (${error})${outcomeText(outcome)}`);
  }
  const done = isIncomplete(restored)
    ? paint.uncertain("Restored what could be loaded into")
    : paint.good("Restored");
  screen.line(
    `${done} ${restored.database} from ${formatStamp(restored.from)} UTC in ${formatDuration(restored.elapsedMs)}.`,
  );
  for (const item of restored.notRestored) screen.line(`${paint.bad("Not restored")}: ${item}`);
}

/** What a new server needs besides its data. */
export function printAfterwards(
  screen: Screen,
  { manifest }: Pick<Entry, "manifest">,
  { server, loginRoles }: RestoredEvent,
  into: string | undefined,
): void {
  const before = manifest?.server.systemIdentifier ?? null;
  if (into === undefined && before !== null && server !== null && server !== before) {
    screen.line("This server is another one than in the backup. The next backup accepts it.");
  }
  if (loginRoles.length === 0) return;
  screen.line("These roles may log in and have no password yet. In psql:");
  for (const role of loginRoles) screen.exactLine(`  ${passwordStatement(role)}`);
  screen.line("psql's \\password asks for one instead, and keeps it out of the server's log.");
}

function comparisonOf({ differences }: RestoredEvent, partial: boolean): string {
  const equal = partial
    ? "equal to what the backup holds of the snapshot"
    : "equal to the snapshot";
  return differences.length === 0
    ? equal
    : `${differences.length} of them differ from the snapshot`;
}

/** What a dry run has found. */
export function describePlanned({ roles, notRestored }: PlannedEvent): string[] {
  return [
    ...(roles.length === 0 ? [] : [`Roles that would be made: ${roles.join(", ")}.`]),
    ...notRestored.map((item) => `Would not be restored: ${item}`),
    `${paint.good("Dry run")}: every check has passed, and nothing was changed.`,
  ];
}
