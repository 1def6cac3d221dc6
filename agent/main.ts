// First of all, so that a signal counts while the rest is loaded.
import "./runtime/earlySignals.ts";
import { Command, CommanderError } from "commander";
import type { AgeSecrets } from "../common/age/stanzas.ts";
import {
  type AgentSettings,
  fromEnvironment,
} from "../common/contracts/agentEnvironment/environment.ts";
import { translateVariables } from "../common/contracts/agentEnvironment/legacyVariables.ts";
import { splitSigningKeys } from "../common/contracts/manifestMac.ts";
import { Problem } from "../common/problem.ts";
import { parseAddress } from "../storage/address/address.ts";
import { openStore } from "../storage/s3/client.ts";
import { readDeploy } from "./archive/deployMark.ts";
import { list } from "./archive/list.ts";
import { verifyChosen } from "./archive/verify.ts";
import { contextForCopy, openCopy } from "./backup/copyDestination.ts";
import { parseExtraOptions } from "./backup/pgDump.ts";
import { dump } from "./dump.ts";
import { notifyTest } from "./notify/notifier.ts";
import { bringTable } from "./pointInTime/bringTable.ts";
import { fetchRecovery } from "./pointInTime/fetch.ts";
import { printReachable } from "./pointInTime/reachable.ts";
import { restoreRecovered } from "./pointInTime/restoreRecovered.ts";
import { chooseDatabase, forDatabase, printDatabases } from "./postgres/databases.ts";
import { probe } from "./probe.ts";
import { type DrillOptions, drill } from "./restore/drill/drill.ts";
import { readDrillRequest } from "./restore/drill/drillRequest.ts";
import { printActivity } from "./restore/kept/activity.ts";
import { parseDropAfter } from "./restore/kept/dropTime.ts";
import { dropKept, printKept } from "./restore/kept/keptDatabases.ts";
import { printHistory, recorded } from "./restore/kept/records.ts";
import { replacedBy, undo } from "./restore/kept/undo.ts";
import { type RestoreOptions, restore } from "./restore/restore.ts";
import { type Attachment, attachTo } from "./runtime/attachment.ts";
import { cancel } from "./runtime/cancel.ts";
import { type Confirm, confirmation, remoteConfirmation } from "./runtime/confirm.ts";
import { loggedReport, openContainerLog } from "./runtime/containerLog.ts";
import type { AgentContext } from "./runtime/context.ts";
import { errorMessage } from "./runtime/errorMessage.ts";
import { recordFault, recordResult } from "./runtime/healthRecord.ts";
import { Journal } from "./runtime/journal.ts";
import { redactor } from "./runtime/redact.ts";
import { openReport } from "./runtime/reporter.ts";
import { registerRun } from "./runtime/runRegistry.ts";
import { readSecrets } from "./runtime/secrets.ts";
import { LONGEST_LIMIT_HOURS, Stopped, stopOnSignal } from "./runtime/signals.ts";
import { catchUpLine, nextRunLine, runLimitHours } from "./scheduler/dueTime.ts";
import { notifyKilled, type RunOptions, runBackup } from "./scheduler/runBackup.ts";
import { type BaseOptions, takeBase } from "./wal/base.ts";
import { requireBaseSchedule } from "./wal/baseDue.ts";
import { archiveWal } from "./wal/wal.ts";

const json = process.argv.includes("--json");
const debug = process.argv.includes("--debug");
const stop = stopOnSignal();
const { env, warnings } = translateVariables(process.env);
const redact = redactor([
  env["POSTGRES_PASSWORD"],
  env["S3_SECRET_ACCESS_KEY"],
  env["S3_ACCESS_KEY_ID"],
  env["COPY_S3_SECRET_ACCESS_KEY"],
  env["COPY_S3_ACCESS_KEY_ID"],
  env["PASSPHRASE"],
  env["POINT_IN_TIME_PASSWORD"],
  ...splitSigningKeys(env["SIGNING_KEYS"] ?? ""),
  env["PING_URL"],
  env["WEBHOOK_URL"],
]);
// The standard output of "dump" is SQL.
let report = openReport(json, redact, process.argv[2] === "dump" ? process.stderr : process.stdout);
const journal = new Journal();
/** Takes back that this command runs. */
let unregister = () => {};
/** Whoever has started this run, where it is tied to them. */
let attachment: Attachment | undefined;

const IDENTITY_OPTION =
  "read the private key (AGE-SECRET-KEY-1...), or a passphrase, from standard input";
/** A backup was verified, or restored, as far as it can be here, which is less than that. */
const EXIT_LESS_THAN_WHOLE = 2;
const EXIT_OF_VERDICT = { passed: 0, failed: 1, couldNotRun: 3 } as const;
/** How a command ends that has done what it can. */
let ending = 0;
const ATTACHED_OPTION =
  "for kamal-postgres-backup: stop when standard input ends or is silent for a minute";
/** Names of the commands that take their time and may change something. */
const TRACKED = new Set<string>();
const DATABASE_OPTION = "which database, where the container backs up several";
const COPY_OPTION = "of the copies in the second bucket";

const program = new Command("agent")
  .description("Backs up one PostgreSQL database into a bucket; settings come from the environment")
  .addHelpText(
    "after",
    "\nThe image's wrapper adds: schedule (waits and backs up, the default) and health (for Docker).",
  )
  .exitOverride()
  .helpCommand(false);

tracked("backup", "dump the database into the bucket now")
  .option(
    "--scheduled",
    "for run.sh: waits for a backup that is under way, which counts as this one if it is good",
  )
  .option("--database <name>", "only this one, where the container backs up several")
  .option("--accept", "count it as good although it differs from the last: the new normal")
  .option("--catch-up", "for run.sh: only if the run that was missed is still missing")
  .option("--first", "for pulumi up: only databases of which the bucket has no backup yet")
  .option("--verify", "read it back to its end after it was stored")
  .option("--before-deploy <revision>", "mark the backup as the one before the deploy of this")
  .option(
    "--max-age <minutes>",
    "with --before-deploy: one that is so young and was read back will do (default: 0, a new one)",
  )
  .action(async ({ beforeDeploy, maxAge, ...others }: BackupFlags) => {
    if (beforeDeploy === undefined && maxAge !== undefined) {
      throw new Problem("--max-age is for --before-deploy. Give both, or neither.");
    }
    const deploy = beforeDeploy === undefined ? undefined : readDeploy(beforeDeploy, maxAge);
    const options: RunOptions = { ...others, ...(deploy && { deploy }) };
    if (options.scheduled !== true) printWarnings();
    const describe = (error: unknown) => redact(sentenceOf(error));
    const stateFolder = process.env["AGENT_STATE_DIR"];
    await runBackup(openLimited, options, { stateFolder, describe, redact });
  });

tracked("restore", "restore into a new database, check it, and swap it with the live one")
  .argument("[backup]", "latest, or a time as list shows it", "latest")
  .option("--database <name>", DATABASE_OPTION)
  .option("--copy", COPY_OPTION)
  .option("--into <name>", "restore beside the live database, under this new name")
  .option("--not-after <time>", "the latest backup of this time or before it")
  .option("--before-deploy <revision>", "the backup before this deploy; its beginning is enough")
  .option("--globals", "make the roles of the backup that the server lacks, without passwords")
  .option("--allow-privileged-roles", "with --globals: superusers and the like stay what they were")
  .option("--jobs <number>", "connections that load at once (default: one for each core)", jobsOf)
  .option(
    "--scratch <folder>",
    "for a backup without an index: unpack it there, to load by several connections",
  )
  .option("--server-locale", "take the server's encoding and locale instead of the backup's")
  .option(
    "--keep-going",
    "with --into: load all that can be loaded, and list each statement that fails",
  )
  .option("--allow-incomplete", "let less than the whole database take the live one's place")
  .option("--no-owner", "without owners and grants: everything belongs to the connection's role")
  .option("--role <name>", "the same, but everything belongs to this role")
  .option("--schema <name>", "only this schema; may be given several times", several)
  .option(
    "--table <name>",
    "with --into: only this table and what it needs; several times",
    several,
  )
  .option("--exclude-table <name>", "not this table, * for any characters; several times", several)
  .option("--identity-stdin", IDENTITY_OPTION)
  .option("--accept-origin", "with a time: also one that may be somebody else's, as list says")
  .option(
    "--max-hours <number>",
    "stop it when it has taken so long (default: 24, or 1 for each 10 GB of the database)",
    hoursOf,
  )
  .option(
    "--drop-after <time>",
    "let the first scheduled backup after it drop the database that was replaced: 7d, 12h",
    parseDropAfter,
  )
  .option(
    "--recovered <folder>",
    "for kamal-postgres-backup: from the server that was recovered there to this time",
  )
  .option("--dry-run", "check everything and show what would be done")
  .option("--yes", "do not ask")
  .option("--ask", "for kamal-postgres-backup: questions are events, standard input answers them")
  .addHelpText(
    "after",
    `
Exit code 2: with --keep-going, the database is there, but something is missing in it and was listed.

Examples:
  agent restore latest --into shop_look
  agent restore latest --into shop_saved --keep-going
  agent restore latest --into shop_part --schema app --exclude-table "audit.*"
  agent restore latest --into shop_orders --table public.orders
  agent restore latest --yes --role staging_app`,
  )
  .action(async (wanted: string, { owner, dropAfter, recovered, ...options }: RestoreFlags) => {
    const scratch = options.scratch ?? env["RESTORE_SCRATCH_DIR"];
    const context = openContextFor(options);
    const database = options.into ?? context.settings.postgres.database;
    const about = { action: "restore", database, asked: wanted } as const;
    const run = async (context: AgentContext) => {
      const asked = {
        ...options,
        // Commander's own way with an option that begins with "no".
        noOwner: owner === false,
        dropAfterMs: dropAfter,
        ...(scratch && { scratch }),
        secrets: await secretsFor(options),
        confirm: confirmationFor(options),
      };
      const { complete } =
        recovered === undefined
          ? await restore(context, { wanted, ...asked })
          : await restoreRecovered(context, { folder: recovered, moment: wanted }, asked);
      if (!complete) ending = EXIT_LESS_THAN_WHOLE;
    };
    // A dry run is no try.
    await (options.dryRun === true ? run(context) : recorded(context, about, sentenceOf, run));
  });

tracked("undo", "swap a database that a restore has replaced back into its place")
  .argument("<name>", "its name now, <database>_before_<time>")
  .option("--yes", "do not ask")
  .action(async (name: string, options: { yes?: boolean }) => {
    const context = openContext();
    const database = replacedBy(context.settings, name);
    const about = { action: "undo", database, asked: name } as const;
    await recorded(context, about, sentenceOf, (context) =>
      undo(context, name, confirmation(options.yes === true || json, stop.signal)),
    );
  });

tracked("kept", "the databases that restores have left: replaced, undone, unfinished")
  .option("--drop <name>", "drop this one for good")
  .option("--yes", "do not ask")
  .action(async ({ drop, yes }: { drop?: string; yes?: boolean }) => {
    if (drop === undefined) return printKept(openContext());
    if (yes !== true && !process.stdin.isTTY) {
      throw new Problem(
        "--drop asks before it drops a database, and there is no terminal. Add --yes.",
      );
    }
    await dropKept(openContext(), drop, confirmation(yes === true, stop.signal));
  });

command("history", "what was restored and undone, or tried, newest first").action(() =>
  printHistory(openContext()),
);

command("activity", "what runs in this container, and what was left").action(() =>
  printActivity(openContext(), process.env["AGENT_STATE_DIR"]),
);

command("cancel", "stop a backup, restore, verify or undo that runs in this container")
  .argument("[command]", "which one, where several run")
  .action((name?: string) => cancel(process.env["AGENT_STATE_DIR"], name, report));

tracked("verify", "read a backup to its end, without a database")
  .argument("[backup]", "latest, or a time as list shows it", "latest")
  .option("--database <name>", DATABASE_OPTION)
  .option("--copy", COPY_OPTION)
  .option("--identity-stdin", IDENTITY_OPTION)
  .addHelpText("after", "\nExit code 2: stored as it was written, but nothing here can decrypt it.")
  .action(async (wanted: string, options: ReadFlags) => {
    const depth = await verifyChosen(openContextFor(options), wanted, await secretsFor(options));
    if (depth === "stored") ending = EXIT_LESS_THAN_WHOLE;
  });

tracked(
  "drill",
  "for kamal-postgres-backup: restore into a throw-away server, compare, run SQL checks",
)
  .argument("[backup]", "latest, or a time as list shows it", "latest")
  .option("--database <name>", DATABASE_OPTION)
  .option("--server-locale", "take the server's encoding and locale instead of the backup's")
  .option("--no-owner", "without owners and grants, where the backup was stored without roles")
  .option("--schema-only", "no rows: only what is defined")
  .option("--exclude-table <name>", "not this table, * for any characters; several times", several)
  .addHelpText(
    "after",
    "\nReads keys, checks and mask as a line of JSON from standard input. Exit code 1: the backup has failed; 3: the drill could not run.",
  )
  .action(async (wanted: string, { owner, ...options }: ReadFlags & DrillFlags) => {
    if (attachment === undefined) throw new Problem("drill needs --attached.");
    const request = await readDrillRequest(env, attachment.head);
    const chosen = { ...options, noOwner: owner === false };
    const { verdict } = await drill(openContextFor(options), wanted, request, chosen);
    ending = EXIT_OF_VERDICT[verdict];
  });

tracked("dump", "write a database as SQL to standard output, whatever its size")
  .argument("[backup]", "latest, or a time as list shows it; without it the database as it is now")
  .option("--database <name>", DATABASE_OPTION)
  .option("--copy", COPY_OPTION)
  .option("--no-owner", "without owners and grants, for a server that lacks the roles")
  .option("--accept-origin", "with a time: also one that may be somebody else's, as list says")
  .option("--identity-stdin", IDENTITY_OPTION)
  .addHelpText("after", "\nExample:\n  agent dump --no-owner > dump.sql")
  .action(async (wanted: string | undefined, options: DumpFlags) => {
    const { owner, acceptOrigin = false } = options;
    const context = openContextFor(options);
    const noOwner = owner === false;
    if (wanted === undefined) return dump(context, { noOwner });
    return dump(context, { noOwner, wanted, acceptOrigin, secrets: await secretsFor(options) });
  });

command("list", "the backups of a database in the bucket, newest first")
  .option("--database <name>", DATABASE_OPTION)
  .option("--copy", COPY_OPTION)
  .action(async (options: ReadFlags) => {
    await list(openContextFor(options));
  });

command("databases", "the databases that this container backs up")
  .option("--stored", "also those that have a backup in the bucket")
  .action((options: { stored?: boolean }) =>
    printDatabases(openContext(), options.stored === true),
  );

command("reachable", "which moments can be recovered from base backups and WAL in the bucket")
  .argument("[time]", "what a recovery to this time would take: ISO 8601, or latest")
  .action((moment?: string) => printReachable(openContext(), moment));

tracked("fetch", "for kamal-postgres-backup: base backup and WAL of a recovery, into a folder")
  .argument("<time>", "ISO 8601, or latest")
  .requiredOption("--folder <path>", "an empty one")
  .option("--identity-stdin", IDENTITY_OPTION)
  .action(async (moment: string, { folder, ...options }: ReadFlags & { folder: string }) =>
    fetchRecovery(openContext(), moment, folder, await secretsFor(options)),
  );

tracked(
  "table",
  "for kamal-postgres-backup: one table of a recovered server into the live database",
)
  .argument("<table>", "with its schema: public.orders")
  .requiredOption("--recovered <folder>", "of the recovery")
  .option("--database <name>", DATABASE_OPTION)
  .option("--into <name>", "another name for it, in the same schema")
  .option("--no-owner", "without owner and grants: it belongs to the connection's role")
  .action(async (table: string, { recovered, owner, into, ...options }: TableFlags) => {
    const request = { table, noOwner: owner === false, ...(into !== undefined && { into }) };
    await bringTable(openContextFor(options), recovered, request);
  });

command("probe", "try database and bucket, leaving nothing behind").action(() => {
  printWarnings();
  return probe(openContext());
});

command("notify", "send a test message to the webhook")
  .option("--killed <sentence>", "for run.sh: the notices of a run that could not send its own")
  .action(({ killed }: { killed?: string }) =>
    killed === undefined ? notifyTest(openContext()) : notifyKilled(openContext(), killed),
  );

command("next", "for run.sh: when the schedule is due and the run begins, seconds since 1970")
  .option("--after <seconds>", "when the last run was due")
  .action((options: { after?: string }) => {
    const settings = fromEnvironment(env);
    if (options.after === undefined) {
      printWarnings();
      requireBaseSchedule(settings);
      // Else the first backup, which may be a day away, would be the one to refuse them.
      parseExtraOptions(settings.postgres.dumpOptions);
    }
    const last = options.after === undefined ? undefined : new Date(Number(options.after) * 1000);
    process.stdout.write(`${nextRunLine(settings, last)}\n`);
  });

command("missed", "for run.sh: when to make up for a run that was missed, if one was").action(
  async () => {
    const context = openContext();
    reportCopyFault(context);
    process.stdout.write(`${await catchUpLine(context)}\n`);
  },
);

command(
  "wal",
  "for run.sh: store the server's WAL in the bucket as it comes, until stopped",
).action(() =>
  archiveWal(openContext(), {
    stateFolder: process.env["AGENT_STATE_DIR"],
    describe: (error) => redact(errorMessage(error)),
  }),
);

tracked("base", "take a base backup of the server for point-in-time recovery now")
  .option("--scheduled", "for agent wal: spreads its work, and waits for a backup under way")
  .option("--incremental", "only what has changed since the newest one (PostgreSQL 17 and later)")
  .action(async (options: BaseOptions) => {
    await takeBase(openContext(), options);
  });

interface BackupFlags extends Omit<RunOptions, "deploy"> {
  readonly beforeDeploy?: string;
  readonly maxAge?: string;
}

interface ReadFlags {
  readonly database?: string;
  readonly copy?: boolean;
  readonly identityStdin?: boolean;
}

interface TableFlags extends ReadFlags {
  /** False with --no-owner. */
  readonly owner?: boolean;
  readonly recovered: string;
  readonly into?: string;
}

interface DumpFlags extends ReadFlags {
  /** False with --no-owner. */
  readonly owner?: boolean;
  readonly acceptOrigin?: boolean;
}

interface DrillFlags extends Omit<DrillOptions, "noOwner"> {
  /** False with --no-owner. */
  readonly owner?: boolean;
}

interface RestoreFlags
  extends ReadFlags,
    Pick<
      RestoreOptions,
      | "into"
      | "notAfter"
      | "beforeDeploy"
      | "globals"
      | "allowPrivilegedRoles"
      | "dryRun"
      | "keepGoing"
      | "allowIncomplete"
      | "role"
      | "schema"
      | "table"
      | "excludeTable"
      | "jobs"
      | "acceptOrigin"
      | "serverLocale"
      | "maxHours"
    > {
  /** False with --no-owner. */
  readonly owner?: boolean;
  readonly scratch?: string;
  readonly recovered?: string;
  /** Milliseconds. */
  readonly dropAfter?: number;
  readonly yes?: boolean;
  readonly ask?: boolean;
}

function confirmationFor({ ask, yes }: RestoreFlags): Confirm {
  if (ask !== true) return confirmation(yes === true || json, stop.signal);
  if (attachment === undefined || !json) throw new Problem("--ask needs --attached and --json.");
  return remoteConfirmation(report, attachment);
}

/** @throws Problem when it is no number of hours that a run can be limited to */
function hoursOf(text: string): number {
  const hours = /^\d*\.?\d+$/.test(text) ? Number(text) : 0;
  if (hours > 0 && hours <= LONGEST_LIMIT_HOURS) return hours;
  throw new Problem(
    `--max-hours ${text} must be a number of hours above 0, and ${LONGEST_LIMIT_HOURS} at most.`,
  );
}

/** @throws Problem when it is no number of connections */
function jobsOf(text: string): number {
  const jobs = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (jobs > 0) return jobs;
  throw new Problem(`--jobs ${text} must be a number of connections from 1 to 99.`);
}

/** For an option that may be given several times. */
function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

program.hook("preAction", (_, action) => {
  if (!TRACKED.has(action.name())) return;
  // A list changes nothing.
  if (action.name() === "kept" && action.opts<{ drop?: string }>().drop === undefined) return;
  const given = action.processedArgs.filter((word) => typeof word === "string");
  const words = [action.name(), ...given].join(" ");
  unregister = registerRun(process.env["AGENT_STATE_DIR"], action.name(), words);
  const log = openContainerLog();
  if (log !== undefined) report = loggedReport(report, action.name(), log, redact);
  if (action.opts<{ attached?: boolean }>().attached !== true) return;
  attachment = attachTo(process.stdin, stop);
  report.event({ event: "attached" });
});
stop.onDeadline(() => {
  const isBackup = process.argv[2] === "backup";
  const left = isBackup
    ? "What it has left in the bucket without a manifest does not count, and the bucket's rules remove it; list shows what counts."
    : "It may have left something unfinished, which the next run of the same command removes.";
  const sentence = `${stoppedBy()} and did not end in time${journal.standing()}. ${left}`;
  report.error(sentence);
  if (isBackup) recordResult(process.env["AGENT_STATE_DIR"], redact(sentence));
  unregister();
});

void run().then((code) => {
  process.exitCode = code;
  stop.done();
  unregister();
  attachment?.close();
});

async function run(): Promise<number> {
  try {
    await program.parseAsync();
    if (stop.signal.aborted) report.warn(`${stoppedBy()}, when everything had been done already.`);
    return ending;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    report.error(sentenceOf(error), debug && error instanceof Error ? error.stack : undefined);
    return stop.exitCode ?? 1;
  }
}

/** Why it failed; of a run that was stopped, what stands. */
function sentenceOf(error: unknown): string {
  if (!stop.signal.aborted) return journal.corrected(errorMessage(error));
  const ending = `${stoppedBy()} before it was complete${journal.ending()}.`;
  // The failure of a run that was stopped is that it was stopped, unless it has more to tell.
  return error instanceof Problem && !(error instanceof Stopped)
    ? `${ending} ${journal.corrected(error.message)}`
    : ending;
}

function stoppedBy(): string {
  return errorMessage(stop.signal.reason);
}

/** A command that takes its time and may change something: it is written into the container's log, and can be stopped. */
function tracked(name: string, description: string): Command {
  TRACKED.add(name);
  return command(name, description).option("--attached", ATTACHED_OPTION);
}

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "one JSON object a line instead of text")
    .option("--debug", "show where an error came from");
}

function openContext(): AgentContext {
  const settings: AgentSettings = fromEnvironment(env);
  const address = parseAddress(settings.store);
  for (const warning of address.notices) report.warn(warning);
  const store = openStore(address, settings.store);
  const copy = openCopy(settings, report);
  const { signal, uninterrupted } = stop;
  const more = { ...(copy && { copy }), journal, uninterrupted, stopAfter };
  return { settings, store, report, signal, ...more };
}

/** Every run of the backup has an end. */
function openLimited(): AgentContext {
  const context = openContext();
  stopAfter(runLimitHours(context.settings), "BACKUP_MAX_RUN_HOURS");
  return context;
}

function stopAfter(hours: number, setting: string): void {
  const shown = Math.round(hours * 10) / 10 || hours;
  const why = `stopped after ${shown} h, the longest that it may take (${setting}),`;
  setTimeout(() => stop.request(why, 1), hours * 3_600_000).unref();
}

/** For the one database that the command is about, in the bucket that it is about. */
function openContextFor({ database, copy }: ReadFlags): AgentContext {
  const context = openContext();
  return forDatabase(
    copy === true ? contextForCopy(context) : context,
    chooseDatabase(context.settings, database),
  );
}

function secretsFor({ identityStdin }: { readonly identityStdin?: boolean }): Promise<AgeSecrets> {
  if (identityStdin !== true) return readSecrets(env);
  return readSecrets(env, attachment?.head ?? process.stdin);
}

/** At the start of a container, and for its health check: the first backup, which fails by it, may be a day away. */
function reportCopyFault({ copy }: AgentContext): void {
  if (copy?.fault === undefined) return;
  const message = `no copy can be made: ${redact(copy.fault.message)}`;
  report.warn(message);
  recordFault(process.env["AGENT_STATE_DIR"], message);
}

/** At the start of a container or a run, not for every command. */
function printWarnings(): void {
  for (const warning of warnings) report.warn(warning);
}
