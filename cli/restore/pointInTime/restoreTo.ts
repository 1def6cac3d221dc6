import type { QuestionEvent, RestoredEvent } from "../../../common/contracts/agentEvents.ts";
import { Problem } from "../../../common/problem.ts";
import { shellQuote } from "../../../common/ssh/command.ts";
import { momentText } from "../../../storage/pointInTime/refusal.ts";
import { runAgent } from "../../session/agentCall.ts";
import type { CopyOption } from "../../session/copy.ts";
import { databaseArguments, forOneDatabase } from "../../session/databases.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";
import { confirm, requireTerminal } from "../../terminal/confirm.ts";
import { EXIT } from "../../terminal/exitCodes.ts";
import { formatDuration, plural } from "../../terminal/format.ts";
import { restoreLine } from "../../terminal/progress.ts";
import { paint } from "../../terminal/render.ts";
import {
  isIncomplete,
  printAfterwards,
  questions,
  type RestoreOptions,
  requireSensible,
  restoreArguments,
} from "../restore.ts";
import {
  describeRecovery,
  type Prepared,
  prepare,
  type Recovered,
  type RecoverOptions,
  recoverTo,
} from "./recoverTo.ts";
import { FOLDER, stopServer } from "./sideInstance.ts";

export interface RestoreToOptions extends Omit<RestoreOptions, "table">, RecoverOptions {
  /** Brings this table alone, `public.orders`. */
  readonly table?: string;
  /** Leaves the recovered server, and brings nothing back. @default false */
  readonly keep?: boolean;
  /** Leaves a data volume for a new server. @default false */
  readonly volume?: boolean;
}

/** Options that choose a stored backup, or are about reading one. */
const OF_BACKUPS = ["jobs", "copy", "notAfter", "beforeDeploy", "acceptOrigin", "scratch"] as const;

/**
 * Recovers to a moment beside the live server, and brings the database back by the way of a restore; or one table, or nothing.
 * @param wanted what stands behind `restore`; with a moment it has to be empty
 * @returns the exit code, as of `restore`
 */
export async function restoreTo(
  opened: Session,
  stack: StackChoice,
  wanted: string,
  options: RestoreToOptions,
): Promise<number> {
  // A data volume holds every database of the server.
  const session = options.volume === true ? opened : await forOneDatabase(opened);
  const { screen, backup } = session;
  requireOne(options, wanted);
  const kind = kindOf(options);
  if (kind === "database") requireSensible(options, backup.database);
  const ask = !options.yes && !options.dryRun;
  if (ask) requireTerminal(screen, "restore asks before it begins a recovery");
  const prepared = await prepare(session, stack, options, kind === "database" || kind === "table");
  const plan = [
    ...describeRecovery(prepared, subjectOf(options, session)),
    ...AFTER[kind](options, session),
  ];
  if (!ask) for (const line of plan) screen.line(line);
  if (options.dryRun) {
    screen.line(`${paint.good("Dry run")}: every check has passed, and no recovery was begun.`);
    screen.document({ ...documentOf(prepared), dryRun: true });
    return EXIT.well;
  }
  if (ask) await confirm(screen, plan, backup.database || backup.name);
  switch (kind) {
    case "database":
      return recoverTo(prepared, "nothing", (recovered) =>
        bringDatabase(prepared, recovered, plan, options),
      );
    case "table":
      return recoverTo(prepared, "nothing", (recovered) =>
        bringTable(prepared, recovered, options),
      );
    case "server":
      return recoverTo(prepared, "server", (recovered) => leaveServer(prepared, recovered));
    case "volume":
      return recoverTo(prepared, "volume", (recovered) => leaveVolume(prepared, recovered));
  }
}

/**
 * Recovers to a moment and brings nothing back: the drill.
 * @throws Problem when it cannot be recovered
 */
export async function verifyTo(
  opened: Session,
  stack: StackChoice,
  wanted: string,
  options: RecoverOptions & CopyOption,
): Promise<number> {
  requireOne(options, wanted);
  const prepared = await prepare(opened, stack, options, false);
  const { screen } = prepared.session;
  for (const line of describeRecovery(prepared, "the server's databases")) screen.line(line);
  return recoverTo(prepared, "nothing", async (recovered) => {
    printRecovered(prepared, recovered);
    screen.line("  Nothing was brought back, and the server of the recovery is removed.");
    screen.document({ ...documentOf(prepared), ...resultOf(recovered) });
    return EXIT.well;
  });
}

type Kind = "database" | "table" | "server" | "volume";

function kindOf({ table, keep, volume }: RestoreToOptions): Kind {
  if (volume) return "volume";
  if (keep) return "server";
  return table === undefined ? "database" : "table";
}

/** @throws Problem when something was asked for that needs a moment, and none was given */
export function requireMoment(options: Partial<RestoreToOptions>): void {
  const [name] = ["keep", "volume", "image"].filter((name) => Object.hasOwn(options, name));
  if (name === undefined) return;
  throw new Problem(
    `--${name} is for a recovery to a point in time. Give the time: --to "2026-11-28 10:15:00".`,
  );
}

function requireOne(options: RestoreToOptions, wanted: string): void {
  if (wanted !== "") {
    throw new Problem(
      `--to ${options.to} recovers from base backups and WAL, and ${wanted} names a stored backup. Leave one of the two out.`,
    );
  }
  const [other] = OF_BACKUPS.filter((name) => options[name] !== undefined);
  if (other !== undefined) {
    const typed = other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new Problem(`--${typed} is for stored backups. Leave it or --to out.`);
  }
  const ways = ["table", "keep", "volume"].filter(
    (name) => options[name as "table" | "keep" | "volume"] !== undefined,
  );
  if (ways.length > 1) {
    throw new Problem(
      `--${ways[0]} and --${ways[1]} contradict each other. Leave one of the two out.`,
    );
  }
  if (ways[0] !== undefined && ways[0] !== "table" && options.into !== undefined) {
    throw new Problem(
      `--${ways[0]} brings nothing into the live server, so --into ${options.into} has no use. Leave one of the two out.`,
    );
  }
}

function subjectOf({ table, volume }: RestoreToOptions, { backup }: Session): string {
  if (volume) return "all databases of the server";
  return table === undefined ? backup.database : `${table} of ${backup.database}`;
}

/** What becomes of the recovered server, as the end of the plan. */
const AFTER: Readonly<Record<Kind, (options: RestoreToOptions, session: Session) => string[]>> = {
  database: ({ into }, { backup: { database } }) =>
    into === undefined
      ? [
          `The recovered database takes its place; the current one is kept as ${database}_before_<time>.`,
        ]
      : [`It comes into the live server as ${into}. ${database} is not touched.`],
  table: ({ into, table }, { backup: { database } }) => [
    into === undefined
      ? `It comes into ${database} under its own name, which must be free there.`
      : `Its rows come into ${database} as the new table ${into}. ${table} is not touched.`,
  ],
  server: () => ["The recovered server stays. The live one is not touched."],
  volume: () => ["Its data stays as a Docker volume. The live server is not touched."],
};

async function bringDatabase(
  { session, moment }: Prepared,
  recovered: Recovered,
  plan: readonly string[],
  options: RestoreToOptions,
): Promise<number> {
  const { backup, screen, container } = session;
  const line = restoreLine();
  const answer = questions(screen, plan, options.into ?? backup.database, options);
  const args = [
    ...["restore", moment, "--recovered", FOLDER, ...databaseArguments(backup)],
    ...[...restoreArguments(options), "--ask"],
  ];
  const restored = await runAgent(recovered.agent, args, "restored", {
    codes: [EXIT.well, EXIT.lessThanWhole],
    onProgress: (event) => screen.progress(line(event)),
    onStderrLine: (text) => {
      if (!text.startsWith("Not restored: ")) screen.warn(text);
    },
    // The plan was agreed to before the recovery began.
    onQuestion: async (event: QuestionEvent, signal) =>
      event.notRestored.length === 0 || answer(event, signal),
  });
  printRestored(session, recovered, restored);
  const undo = restored.undo === null ? null : session.commandLine(restored.undo);
  if (undo !== null) {
    screen.line("To swap back:");
    screen.exactLine(`  ${undo}`);
  }
  printAfterwards(screen, { manifest: null }, restored, options.into);
  const { event: _, ...result } = restored;
  screen.document({
    ...{ ...result, host: container.host, to: moment, undo },
    ...{ lastCommit: recovered.lastCommit, recoveryMs: recovered.elapsedMs },
  });
  return isIncomplete(restored) ? EXIT.lessThanWhole : EXIT.well;
}

function printRestored({ screen }: Session, recovered: Recovered, restored: RestoredEvent): void {
  const { tables, rows, differences, previous, failed } = restored;
  const equal =
    differences.length === 0
      ? "equal to the recovered server"
      : `${differences.length} of them differ from the recovered server`;
  screen.table(
    [{}, {}, { align: "right" }],
    [
      ["recovered", lastCommitText(recovered), formatDuration(recovered.elapsedMs)],
      ["compared", `${plural(tables, "table")}, ${plural(rows, "row")}: ${equal}`, ""],
      ...(previous === null
        ? []
        : [["swapped", `the previous database is kept as ${previous}`, ""]]),
    ],
    { indent: 2 },
  );
  for (const { entry, error } of failed) screen.line(`${paint.bad("Failed")}: ${entry} (${error})`);
  const done = isIncomplete(restored)
    ? paint.uncertain("Restored what could be loaded into")
    : paint.good("Restored");
  const to =
    restored.from === "latest" ? "the newest stored moment" : `${momentText(restored.from)} UTC`;
  screen.line(
    `${done} ${restored.database} as of ${to} in ${formatDuration(recovered.elapsedMs + restored.elapsedMs)}.`,
  );
  for (const item of restored.notRestored) screen.line(`${paint.bad("Not restored")}: ${item}`);
}

async function bringTable(
  prepared: Prepared,
  recovered: Recovered,
  { table = "", into, noOwner }: RestoreToOptions,
): Promise<number> {
  const { session, moment } = prepared;
  const { backup, screen, container } = session;
  screen.waiting(`bringing ${table}`);
  const args = [
    ...["table", table, "--recovered", FOLDER, ...databaseArguments(backup)],
    ...(into === undefined ? [] : ["--into", into]),
    ...(noOwner ? ["--no-owner"] : []),
  ];
  const { event: _, ...brought } = await runAgent(recovered.agent, args, "table", {
    onStderrLine: (line) => screen.warn(line),
  });
  printRecovered(prepared, recovered);
  screen.line(
    `${paint.good("Brought")} ${brought.schema}.${brought.table} into ${brought.database}: ${plural(brought.rows, "row")}.`,
  );
  screen.document({ ...brought, ...resultOf(recovered), host: container.host, to: moment });
  return EXIT.well;
}

async function leaveServer(prepared: Prepared, recovered: Recovered): Promise<number> {
  const { session, server } = prepared;
  const { screen, backup } = session;
  const { parts } = recovered;
  const reach = `docker exec --interactive --tty ${parts.server} psql --host ${FOLDER}/socket --username ${shellQuote(server.user)} --dbname ${shellQuote(backup.database)}`;
  const remove = `docker rm --force --volumes ${parts.server} && docker volume rm ${parts.data} ${parts.work}`;
  printRecovered(prepared, recovered);
  screen.line(
    `The server stays on ${session.container.host}, without a network. To look at it, there:`,
  );
  screen.exactLine(`  ${reach}`);
  screen.line("To remove it:");
  screen.exactLine(`  ${remove}`);
  screen.document({
    ...{ ...documentOf(prepared), ...resultOf(recovered) },
    kept: { container: parts.server, volumes: [parts.data, parts.work], reach, remove },
  });
  return EXIT.well;
}

async function leaveVolume(prepared: Prepared, recovered: Recovered): Promise<number> {
  const { session, server } = prepared;
  const { screen, container } = session;
  const { parts } = recovered;
  // Shut down as a server is that starts again: the volume needs no WAL from elsewhere.
  await stopServer(container, parts);
  const mount = `${parts.data}:${server.dataFolder}`;
  printRecovered(prepared, recovered);
  screen.line(
    `The volume ${parts.data} on ${container.host} holds the server's data. Under "volumes" of the database's accessory in deploy.yml, in the place of its data folder:`,
  );
  screen.exactLine(`  - ${mount}`);
  screen.line("Then boot it with Kamal, and run pulumi up, which begins a new chain of WAL.");
  screen.document({
    ...{ ...documentOf(prepared), ...resultOf(recovered) },
    volume: { name: parts.data, mount, remove: `docker volume rm ${parts.data}` },
  });
  return EXIT.well;
}

function printRecovered({ session: { screen }, moment }: Prepared, recovered: Recovered): void {
  const to = moment === "latest" ? "the newest stored moment" : `${momentText(moment)} UTC`;
  screen.line(
    `${paint.good("Recovered")} to ${to} in ${formatDuration(recovered.elapsedMs)}: ${lastCommitText(recovered)}.`,
  );
}

function lastCommitText({ lastCommit }: Recovered): string {
  return lastCommit === null
    ? "nothing was committed since the base backup"
    : `the last commit in it is of ${momentText(lastCommit)} UTC`;
}

function documentOf({ session: { container }, moment, plan, room }: Prepared) {
  const { chain, bases, segments, isProven } = plan;
  return {
    host: container.host,
    to: moment,
    chain: chain.chain,
    bases: bases.map(({ stamp }) => stamp),
    ...{ segments, isProven, neededBytes: room.needed, freeBytes: room.free },
  };
}

function resultOf({ lastCommit, elapsedMs }: Recovered) {
  return { lastCommit, recoveryMs: elapsedMs };
}
