import { Command, CommanderError } from "commander";
import { parseAddress } from "../storage/address.ts";
import { openStore } from "../storage/client.ts";
import { Problem } from "../storage/problem.ts";
import { type BackupContext, backup } from "./backup.ts";
import { confirmation } from "./confirm.ts";
import { errorCode } from "./database.ts";
import { type AgentSettings, fromEnvironment } from "./environment.ts";
import { list } from "./list.ts";
import { probe } from "./probe.ts";
import { redactor } from "./redact.ts";
import { openReport } from "./report.ts";
import { restore } from "./restore.ts";
import { dueAfter } from "./schedule.ts";
import { recordResult } from "./state.ts";
import { stopOnSignal } from "./stop.ts";

const json = process.argv.includes("--json");
const debug = process.argv.includes("--debug");
const stop = stopOnSignal();
const clean = redactor([
  process.env["POSTGRES_PASSWORD"],
  process.env["S3_SECRET_ACCESS_KEY"],
  process.env["S3_ACCESS_KEY_ID"],
]);
const report = openReport(json, clean);

const program = new Command("agent")
  .description("Backs up one PostgreSQL database into a bucket; settings come from the environment")
  .addHelpText(
    "after",
    "\nThe image's wrapper adds: schedule (waits and backs up, the default) and health (for Docker).",
  )
  .exitOverride()
  .helpCommand(false);

command("backup", "dump the database into the bucket now").action(async () => {
  try {
    await backup(open());
    recordResult(process.env["AGENT_STATE_DIR"]);
  } catch (error) {
    recordResult(process.env["AGENT_STATE_DIR"], clean(sentence(error)));
    throw error;
  }
});

command("restore", "restore into a new database, check it, and swap it with the live one")
  .argument("[backup]", "latest, or a time as list shows it", "latest")
  .option("--into <name>", "restore beside the live database, under this new name")
  .option("--yes", "do not ask")
  .action(async (wanted: string, options: { into?: string; yes?: boolean }) => {
    await restore(open(), {
      wanted,
      ...(options.into !== undefined && { into: options.into }),
      confirm: confirmation(options.yes === true || json, stop.signal),
    });
  });

command("list", "the backups of the database in the bucket, newest first").action(async () => {
  const { store, settings } = open();
  await list(store, settings.postgres.database, report);
});

command("probe", "try database and bucket, leaving nothing behind").action(() => probe(open()));

command("next", "when the schedule is due, in seconds since 1970; for run.sh")
  .option("--after <seconds>", "when the last run was due")
  .action((options: { after?: string }) => {
    const { schedule } = fromEnvironment(process.env);
    if (schedule === undefined) throw new Problem("SCHEDULE is not set, so nothing is ever due.");
    const last = options.after === undefined ? undefined : new Date(Number(options.after) * 1000);
    const due = dueAfter(schedule, new Date(), last, process.env["TZ"]);
    process.stdout.write(`${Math.floor(due.getTime() / 1000)}\n`);
  });

process.exitCode = await run();
stop.done();

async function run(): Promise<number> {
  try {
    await program.parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    const message = sentence(error);
    report.event({ event: "error", message: clean(message) });
    if (!json) report.notice(`error: ${message}`);
    if (debug && error instanceof Error) report.notice(error.stack ?? "");
    return stop.exitCode ?? 1;
  }
}

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "one JSON object a line instead of text")
    .option("--debug", "show where an error came from");
}

function open(): BackupContext {
  const settings: AgentSettings = fromEnvironment(process.env);
  const address = parseAddress(settings.store);
  for (const notice of address.notices) report.notice(notice);
  return { settings, store: openStore(address, settings.store), report, signal: stop.signal };
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "Problem") return error.message;
  const code = errorCode(error);
  if (code?.length === 5) return `PostgreSQL answered: ${error.message} (${code}).`;
  return `unexpected ${error.name}: ${error.message || "no message"} (run again with --debug to see where)`;
}
