import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Argument, Command, CommanderError, Option } from "commander";
import { messageOf, Problem } from "../common/problem.ts";
import { Interrupted } from "../common/process.ts";
import { adopt } from "./commands/adopt.ts";
import { backup } from "./commands/backup.ts";
import { cancel } from "./commands/cancel.ts";
import { drift } from "./commands/drift.ts";
import { env } from "./commands/env.ts";
import { list } from "./commands/list.ts";
import { notify } from "./commands/notify.ts";
import { type RecoverOptions, recover } from "./commands/recover.ts";
import { status } from "./commands/status.ts";
import { verify } from "./commands/verify.ts";
import { doctor } from "./doctor/doctor.ts";
import { drill } from "./drill/drill.ts";
import { evidence } from "./drill/evidence.ts";
import { type FleetOptions, fleetStatus } from "./fleet/fleetStatus.ts";
import { BUCKET_PLACES } from "./init/bucketPlaces.ts";
import { init } from "./init/init.ts";
import { LEFT } from "./recovery/left.ts";
import { recoveryKit } from "./recovery/recoveryKit.ts";
import { dump } from "./restore/dump.ts";
import { history } from "./restore/history.ts";
import { kept } from "./restore/kept.ts";
import { requireMoment, restoreTo, verifyTo } from "./restore/pointInTime/restoreTo.ts";
import { type CloneOptions, clone } from "./restore/pull/clone.ts";
import { requireOtherName } from "./restore/pull/cloneTarget.ts";
import { pull } from "./restore/pull/pull.ts";
import { restore } from "./restore/restore.ts";
import { undo } from "./restore/undo.ts";
import { type CommonOptions, openSession, type Session } from "./session/session.ts";
import { completionScript, SHELLS, type Shell } from "./terminal/completion.ts";
import { EXIT, EXIT_TABLE } from "./terminal/exitCodes.ts";
import { Screen, type Terminal } from "./terminal/screen.ts";

const name = "kamal-postgres-backup";
const { version } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string };

const IDENTITY = "File with the private key that opens the backups, as age-keygen writes it.";

const COPY = "Use the copies in the second bucket.";

const TIME = "Time or day of a backup, as list shows it, or latest (the default).";

/** Words that people type, and the commands that do it. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  check: "verify reads a backup to its end, drift compares all with the declaration",
  destroy: "pulumi destroy",
  drop: "kept --drop NAME",
  export: "dump > dump.sql",
  health: "status",
  kill: "cancel",
  logs: "kamal accessory logs, with the accessory's name from deploy.yml",
  ls: "list",
  ps: "status shows what runs",
  rollback: "undo NAME, with a name that kept shows",
  stop: "cancel",
  up: "pulumi up",
};

/**
 * Runs one command.
 * @param args what was typed behind the program's name
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.well;
  const screens: Screen[] = [];
  const program = describeProgram(
    (common) => {
      const screen = new Screen(common.json ?? false, terminal);
      screens.push(screen);
      return openSession(common, screen);
    },
    terminal,
    (code) => {
      exitCode = code;
    },
  );
  const unwritten = keepGoingWithoutReader(terminal);
  try {
    await program.parseAsync(args, { from: "user" });
    // What was written before has then arrived, or has failed.
    await new Promise((written) => terminal.out.write("", written));
    if (unwritten.error !== undefined) throw unwritten.error;
    return exitCode;
  } catch (error) {
    // Commander has printed the help, or what is wrong with the arguments.
    // Help and version, for which somebody has asked, end with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.well : EXIT.usage;
    for (const screen of screens) screen.clear();
    printError(error, program.opts<CommonOptions>(), terminal);
    return error instanceof Interrupted ? EXIT.interrupted : EXIT.failed;
  } finally {
    for (const screen of screens) screen.clear();
  }
}

/** Whoever read the output has ended, as `head` does, or the terminal is gone. */
const NO_READER = new Set(["EPIPE", "EIO", "ERR_STREAM_DESTROYED"]);

/**
 * Goes on where nobody reads any more: a restore must not end because `head` did. What cannot be written for another reason,
 * such as a full disk, fails the command at its end.
 */
function keepGoingWithoutReader({ out, err }: Terminal): { readonly error?: Problem } {
  const unwritten: { error?: Problem } = {};
  err.on("error", () => {});
  out.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    if (code !== undefined && NO_READER.has(code)) return;
    unwritten.error ??= new Problem(
      `standard output cannot be written (${code ?? message}), so not all of it is there.`,
    );
  });
  return unwritten;
}

/** Every command with its options and its help. Tests take it to read what the pages show. */
export function describeProgram(
  open: (common: CommonOptions) => Promise<Session>,
  terminal: Terminal,
  exit: (code: number) => void,
): Command {
  const program = new Command(name)
    .description("Backs up and restores PostgreSQL beside an application deployed with Kamal.")
    .version(version, "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Show this help.")
    .option("-s, --stack <name>", "Pulumi stack (default: the selected one).")
    .option("-C, --cwd <folder>", "Folder with Pulumi.yaml (default: the current one).")
    .option(
      "--outputs <file>",
      "Read outputs saved with `pulumi stack output --json`; Pulumi is then not needed.",
    )
    .option("--name <name>", "Which backup, if the stack has several.")
    .option("--host <host>", "Which host, if the backup runs on several (default: the first).")
    .option("--database <name>", "Which database, if the backup has several.")
    .option("--json", "Print one JSON document instead of text.")
    .option("--debug", "Print the stack of an error.")
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 15 })
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      getOutHelpWidth: () => terminal.out.columns || 80,
      outputError: (text, write) => {
        const word = /^error: unknown command '(.*)'/.exec(text)?.[1] ?? "";
        const other = Object.hasOwn(OTHER_WORDS, word) ? OTHER_WORDS[word] : undefined;
        write(
          other === undefined ? text : `error: unknown command '${word}'. For that: ${other}.\n`,
        );
      },
    })
    .exitOverride()
    .showHelpAfterError("(--help shows the commands)")
    .addHelpText(
      "after",
      `\nExit codes:\n${EXIT_TABLE.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join("\n")}`,
    );

  program
    .command("backup")
    .description("Take a backup now.")
    .option("--accept", "Accept a backup that differs from the last one: this is the new normal.")
    .action(async (options, command: Command) => backup(await open(common(command)), options))
    .addHelpText(
      "after",
      examples("backup", "--stack production backup", "backup --accept", "backup --json"),
    );

  program
    .command("init")
    .description(
      "Write a Pulumi project for the backups of the application in this folder. Asks five questions.",
    )
    .option("--config <path>", "The application's deploy.yml.", "config/deploy.yml")
    .option(
      "-d, --destination <name>",
      "Kamal's destination. May be repeated (default: each that has a file).",
      several,
    )
    .option("--into <folder>", "Folder of the project.", "backup")
    .option(
      "--provider <name>",
      `Where the bucket is: ${BUCKET_PLACES.map(({ id }) => id).join(", ")} (default: aws).`,
    )
    .option(
      "--bucket <name>",
      "Name or address of a bucket that exists. Its keys are read from S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY.",
    )
    .option("--endpoint <url>", "Address of the service, if the provider does not say it.")
    .option("--region <name>", "Region of the bucket.")
    .option("--allow-insecure", "Allow plain http to the endpoint.")
    .option("--make-bucket", "Let pulumi up make the bucket, with these keys.")
    .option("--schedule <text>", "Time of day in UTC, or a schedule (default: 03:15).")
    .option("--days <number>", "How long a backup is kept (default: 30).")
    .option("--recipient <key>", "Encrypt for a public key of your own (age1...).")
    .option(
      "--key-file <path>",
      "Where the recovery key is written (default: in your home folder).",
    )
    .option("--no-encryption", "Store backups unencrypted.")
    .option("--accessory <name>", "Accessory to back up, if several run PostgreSQL.")
    .option(
      "--database-major <number>",
      "Major version of PostgreSQL, if its image does not say it.",
    )
    .option("--package <file>", "The package that the project depends on (default: this one).")
    .option("--yes", "Take the defaults, and ask nothing.")
    .option("--dry-run", "Show what would be written, with the defaults, but write nothing.")
    .action(async (options, command: Command) => {
      const { json, host, database } = common(command);
      const given = {
        ...options,
        ...(host !== undefined && { host }),
        ...(database !== undefined && { database }),
      };
      exit(await init(new Screen(json ?? false, terminal), given, version));
    })
    .addHelpText(
      "after",
      examples(
        "init",
        "init --yes --provider aws --region eu-west-3",
        "init --provider hetzner --bucket shop-backups --region fsn1",
        "init --yes --provider other --bucket backups --endpoint https://minio.example.com",
        "init --yes --host 192.0.2.10 --database-major 17",
        "init --database shop_production,shop_production_queue",
        "init --dry-run --json",
      ),
    );

  program
    .command("adopt")
    .description(
      "Take over from an accessory of postgres-backup-s3: show the stack's settings, or write them.",
    )
    .option("--config <path>", "The application's deploy.yml.", "config/deploy.yml")
    .option("-d, --destination <name>", "Kamal's destination.")
    .option("--accessory <key>", "Which accessory, if several back up.")
    .option("--write", "Set them in the stack, and take the accessory out of deploy.yml.")
    .action(async (options, command: Command) => {
      const stack = common(command);
      await adopt(new Screen(stack.json ?? false, terminal), stack, options);
    })
    .addHelpText(
      "after",
      examples(
        "adopt --config ../shop/config/deploy.yml -d production",
        "--stack production adopt --config ../shop/config/deploy.yml --write",
      ),
    );

  program
    .command("list")
    .description("Show the backups, newest first.")
    .option("--all", "Show all of them, not only the newest 50.")
    .option("--copy", COPY)
    .action(async (options, command: Command) => {
      const stack = common(command);
      exit(await list(await open(stack), stack, options));
    })
    .addHelpText(
      "after",
      examples("list", "list --all", "list --copy", "list --outputs outputs.json"),
    );

  program
    .command("restore")
    .description("Restore a backup. The current database is kept under another name.")
    .argument("[time...]", TIME)
    .option("--copy", COPY)
    .option("--into <name>", "Restore into a new database of this name instead.")
    .option("--not-after <time>", "The newest backup at this time (UTC) or before it.")
    .option(
      "--before-deploy <revision>",
      "The backup before this deploy. The beginning of the revision is enough.",
    )
    .option("--identity <file>", IDENTITY)
    .option("--globals", "Create the roles that the server lacks, without passwords.")
    .option(
      "--allow-privileged-roles",
      "With --globals: superusers and the like keep their rights.",
    )
    .option(
      "--server-locale",
      "Use the server's encoding and locale if it does not have the backup's.",
    )
    .option("--jobs <number>", "Connections that load at once (default: one for each core).")
    .option(
      "--scratch <folder>",
      "Folder in the container to unpack a backup in that has no index, to load with every core.",
    )
    .option(
      "--accept-origin",
      "With a time: accept a backup whose origin is not known, as list shows it.",
    )
    .option(
      "--keep-going",
      "With --into: load all that can be loaded, and list each statement that fails (exit code 2).",
    )
    .option("--allow-incomplete", "Let less than the whole database replace the live one.")
    .option("--no-owner", "Leave out owners and grants: everything belongs to the agent's role.")
    .option("--role <name>", "The same, but everything belongs to this role.")
    .option("--schema <name>", "Only this schema. May be repeated.", several)
    .option(
      "--table <name>",
      "Only this table: with --into with what it needs, * stands for any characters, may be repeated; with --to into the live database, with --into under another name.",
      several,
    )
    .option(
      "--exclude-table <name>",
      "Leave out this table; * stands for any characters. May be repeated.",
      several,
    )
    .option(
      "--max-hours <number>",
      "Stop a restore that takes longer (default: 24, or 1 for each 10 GB of the database).",
    )
    .option(
      "--drop-after <time>",
      "Let the first scheduled backup after this time (7d, 12h) drop the database that was replaced.",
    )
    .option(
      "--to <time>",
      "Recover to this second, from base backup and WAL: UTC unless a zone is given, or latest.",
    )
    .option("--keep", "With --to: leave the recovered server to look at, and bring nothing back.")
    .option("--volume", "With --to: leave a data volume for the database of a new host.")
    .option(
      "--image <image>",
      "With --to: image of the server, if its container is not on the host.",
    )
    .option("--dry-run", "Check everything and show what would be done, but change nothing.")
    .option("--yes", "Replace the live database without asking.")
    .action(async (time: string[], { owner, ...options }, command: Command) => {
      // The list shows date and time as two words. Commander turns --no-owner into a false "owner".
      const chosen = { ...options, noOwner: owner === false };
      const stack = common(command);
      if (options.to !== undefined) {
        const [table, ...more] = options.table ?? [];
        if (more.length > 0) {
          throw new Problem(
            `--to brings one table at a time, and --table names ${table} and ${more.join(", ")}. Leave all but one out.`,
          );
        }
        const moment = { ...chosen, table };
        exit(await restoreTo(await open(stack), stack, time.join(" "), moment));
        return;
      }
      requireMoment(options);
      exit(await restore(await open(stack), stack, time.join(" ") || "latest", chosen));
    })
    .addHelpText(
      "after",
      examples(
        "restore",
        "restore 2026-11-24 03:15:02",
        'restore --not-after "2026-11-24 02:00"',
        "restore --before-deploy 1f2e3d4",
        "restore latest --into shop_look",
        "restore latest --into shop_saved --keep-going",
        "restore latest --into shop_orders --table public.orders",
        'restore latest --into shop_part --schema app --exclude-table "audit.*"',
        "--stack staging restore latest --role staging_app",
        "restore --identity backup-key.txt",
        "restore latest --copy",
        "restore 2026-11-24 03:15:02 --accept-origin --into shop_look",
        "restore --drop-after 7d",
        'restore --to "2026-11-28 10:15:00"',
        'restore --to "2026-11-28 11:15:00+01:00" --table public.orders --into orders_before',
        'restore --to "2026-11-28 10:15:00" --keep --identity backup-key.txt',
        "restore --to latest --volume --image postgres:17",
        "restore --dry-run",
        "restore --yes --json",
      ),
    );

  program
    .command("recover")
    .description(
      "Walk through the bad night: asks what is left, shows the steps, and runs those that it can.",
    )
    .argument("[time...]", TIME)
    .addOption(
      new Option(
        "--left <what>",
        `What is left. ${Object.entries(LEFT)
          .map(([kind, text]) => `${kind}: ${text}`)
          .join(". ")}.`,
      ).choices(Object.keys(LEFT)),
    )
    .option("--new-host <address>", "Address of the new server (default: that of the old one).")
    .option("--identity <file>", IDENTITY)
    .option(
      "--config <path>",
      "The application's deploy.yml (default: here, or in the folder above).",
    )
    .option("-d, --destination <name>", "Kamal's destination.")
    .option("--dry-run", "Show the steps, and change nothing.")
    .option("--yes", "Go on without asking. The steps that you do yourself count as done.")
    .action(async (time: string[], options: RecoverOptions, command: Command) => {
      const stack = common(command);
      const screen = new Screen(stack.json ?? false, terminal);
      try {
        exit(await recover(screen, stack, time.join(" "), options));
      } finally {
        screen.clear();
      }
    })
    .addHelpText(
      "after",
      examples(
        "recover",
        "recover --left stack --new-host 192.0.2.20 --identity identity.txt",
        "recover --left all 2026-11-24 03:15:02",
        "recover --left bucket --config ../shop/config/deploy.yml",
        "recover --left project --dry-run --json",
      ),
    );

  program
    .command("recovery-kit")
    .description(
      "Print the page for the day on which only the bucket is left: where the backups are, and the commands with stock tools. No secret is on it.",
    )
    .option("--html <file>", "Write it as an HTML file for the printer instead.")
    .action(async (options, command: Command) => {
      const stack = common(command);
      await recoveryKit(await open(stack), stack, options);
    })
    .addHelpText(
      "after",
      examples("recovery-kit", "recovery-kit --html recovery-kit.html", "recovery-kit > kit.txt"),
    );

  program
    .command("undo")
    .description("Swap the database that a restore replaced back into place.")
    .argument("<name>", "The name under which the restore kept it.")
    .option("--yes", "Swap without asking.")
    .action(async (kept: string, options, command: Command) =>
      undo(await open(common(command)), kept, options),
    )
    .addHelpText(
      "after",
      examples(
        "undo shop_production_before_20261124T102110",
        "undo -- -odd_before_20261124T102110",
      ),
    );

  program
    .command("kept")
    .description("Show the databases that restores kept on the server, or drop one.")
    .option("--drop <name>", "Drop this one for good, after asking for its name.")
    .option("--yes", "Drop without asking.")
    .action(async (options, command: Command) => kept(await open(common(command)), options))
    .addHelpText(
      "after",
      examples("kept", "kept --json", "kept --drop shop_production_before_20261124T102110"),
    );

  program
    .command("history")
    .description("Show each restore and undo, failed ones too, and how long it took.")
    .action(async (_, command: Command) => history(await open(common(command))))
    .addHelpText("after", examples("history", "history --json"));

  program
    .command("cancel")
    .description("Stop the backup, restore, verify or undo that runs in the container.")
    .argument("[command]", "Which one, if several run.")
    .action(async (name: string | undefined, _, command: Command) =>
      cancel(await open(common(command)), name),
    )
    .addHelpText("after", examples("cancel", "cancel restore"));

  program
    .command("verify")
    .description(
      "Read a backup to its end. Exit code 0: it is whole; 2: it is stored whole, but was not decrypted.",
    )
    .argument("[time...]", TIME)
    .option("--copy", COPY)
    .option("--identity <file>", IDENTITY)
    .option(
      "--to <time>",
      "Recover to this second beside the live server, from base backup and WAL, and bring nothing back.",
    )
    .option(
      "--image <image>",
      "With --to: image of the server, if its container is not on the host.",
    )
    .action(async (time: string[], options, command: Command) => {
      const stack = common(command);
      const session = await open(stack);
      if (options.to !== undefined) {
        exit(await verifyTo(session, stack, time.join(" "), options));
        return;
      }
      requireMoment(options);
      exit(await verify(session, time.join(" ") || "latest", options));
    })
    .addHelpText(
      "after",
      examples(
        "verify",
        "verify 2026-11-24 03:15:02",
        "verify --identity backup-key.txt",
        'verify --to "2026-11-28 10:15:00"',
        "verify --to latest --json",
      ),
    );

  program
    .command("drill")
    .description(
      "Prove that a backup can be restored: into a throw-away PostgreSQL in Docker on this machine. Exit code 0: passed; 1: the backup failed; 3: it could not run.",
    )
    .argument("[time...]", TIME)
    .option("--random", "Drill any one of the backups.")
    .option("--each-tier", "Drill the newest backup of each tier.")
    .option("--copy", COPY)
    .option("--checks <file>", "File with SQL queries that return no row when all is well.")
    .option("--identity <file>", `${IDENTITY} Else it is read from AGE_IDENTITY.`)
    .option("--image <image>", "Image of the server (default: postgres of the backup's version).")
    .option("--upgrade-to <major>", "Restore into this later version of PostgreSQL.")
    .option("--server-locale", "Use the server's encoding and locale if it lacks the backup's.")
    .option("--network <name>", "Docker network that reaches the bucket (default: bridge).")
    .option("--keep", "Leave the server, and print how to reach it and how to remove it.")
    .action(async (time: string[], options, command: Command) => {
      const stack = common(command);
      try {
        exit(await drill(await open(stack), stack, time.join(" "), options));
      } catch (error) {
        // Exit code 1 would say that the backup has failed.
        if (!(error instanceof Problem)) throw error;
        printError(error, stack, terminal);
        exit(EXIT.couldNotRun);
      }
    })
    .addHelpText(
      "after",
      examples(
        "drill",
        "drill --identity backup-key.txt --checks drill.sql",
        "drill 2026-11-24 03:15:02",
        "drill --random --json",
        "drill --each-tier",
        "drill --copy",
        "drill --upgrade-to 18",
        "drill --image postgis/postgis:17-3.5 --keep",
      ),
    );

  program
    .command("evidence")
    .description(
      "Export what proves backups for an audit, as CSV: backups, verifications, drills, restores, with their signatures checked. Exit code 7: something was changed since it was signed.",
    )
    .option("--since <day>", "First day, UTC (default: 365 days ago).")
    .action(async (options, command: Command) => {
      const stack = common(command);
      exit(await evidence(await open(stack), stack, options));
    })
    .addHelpText(
      "after",
      examples(
        "evidence > evidence.csv",
        "evidence --since 2026-01-01 > evidence.csv",
        "evidence --since 2026-01-01 --json > evidence.json",
      ),
    );

  program
    .command("dump")
    .description("Write a database of any size as SQL to standard output.")
    .argument("[time...]", "Time of a backup, or latest (default: the current database).")
    .option("--no-owner", "Leave out owners and grants, for a server that lacks the roles.")
    .option("--copy", COPY)
    .option("--identity <file>", IDENTITY)
    .option(
      "--accept-origin",
      "With a time: accept a backup whose origin is not known, as list shows it.",
    )
    .action(async (time: string[], { owner, ...options }, command: Command) => {
      const chosen = { ...options, noOwner: owner === false };
      await dump(await open(common(command)), time.join(" "), chosen);
    })
    .addHelpText(
      "after",
      examples(
        "dump > dump.sql",
        "dump --no-owner > dump.sql",
        "dump latest --identity backup-key.txt | gzip > dump.sql.gz",
      ),
    );

  program
    .command("pull")
    .description(
      "Bring a backup into a PostgreSQL on this machine: in Docker, on 127.0.0.1, or a new database of a server of yours. Masked before anybody can connect.",
    )
    .argument("[time...]", TIME)
    .option("--mask <file>", "File with SQL that masks the data, in one transaction.")
    .option("--schema-only", "No rows: the tables and all else that is defined.")
    .option(
      "--table <name>",
      "Only this table; * stands for any characters. May be repeated.",
      several,
    )
    .option("--to <address>", "A new database of this server: postgres://USER@HOST/DATABASE.")
    .option("--server <name>", "Name of the server in Docker (default: made of the database's).")
    .option(
      "--port <number>",
      "Its port on 127.0.0.1 (default: that of the server it replaces, or a free one).",
    )
    .option("--identity <file>", `${IDENTITY} Else it is read from AGE_IDENTITY.`)
    .option("--image <image>", "Image of the server (default: postgres of the backup's version).")
    .option("--network <name>", "Docker network that reaches the bucket (default: bridge).")
    .option("--yes", "Replace an earlier server, or bring unmasked data, without asking.")
    .action(async (time: string[], options, command: Command) => {
      const stack = common(command);
      await pull(await open(stack), stack, time.join(" "), options);
    })
    .addHelpText(
      "after",
      examples(
        "pull --mask mask.sql",
        "pull --identity backup-key.txt --mask mask.sql",
        "pull 2026-11-24 03:15:02 --mask mask.sql --server shop --port 5433",
        'pull --mask mask.sql --table products --table "tax.*"',
        "pull --schema-only",
        "pull --mask mask.sql --to postgres://me@localhost/shop_dev",
        "pull --yes --json",
      ),
    );

  program
    .command("clone")
    .description(
      "Bring a backup of this stack into the database of another stack, masked before anybody can connect. That database is replaced as by restore, and kept.",
    )
    .argument("[time...]", TIME)
    .requiredOption("--into <stack>", "Stack whose database gets the data.")
    .option("--into-cwd <folder>", "Folder with its Pulumi.yaml (default: the same).")
    .option("--into-name <name>", "Which backup of that stack, if it has several.")
    .option("--into-database <name>", "Which database of that stack, if its backup has several.")
    .option("--mask <file>", "File with SQL that masks the data, in one transaction.")
    .option("--identity <file>", `${IDENTITY} Else it is read from AGE_IDENTITY.`)
    .option(
      "--image <image>",
      "Image of the server that masks (default: postgres of the backup's version).",
    )
    .option("--network <name>", "Docker network that reaches the buckets (default: bridge).")
    .option("--globals", "Create missing roles, without passwords.")
    .option(
      "--allow-privileged-roles",
      "With --globals: let created roles keep superuser and other server-wide rights.",
    )
    .option("--no-owner", "Leave out owners and grants: everything belongs to the agent's role.")
    .option("--role <name>", "The same, but everything belongs to this role.")
    .option("--server-locale", "Use the server's encoding and locale if it lacks the backup's.")
    .option(
      "--drop-after <time>",
      "Let the first scheduled backup after this time (7d, 12h) drop the database that was replaced.",
    )
    .option("--yes", "Replace the database, or bring unmasked data, without asking.")
    .action(async (time: string[], { owner, ...options }: CloneFlags, command: Command) => {
      const stack = common(command);
      const cwd = options.intoCwd === undefined ? stack.cwd : resolve(options.intoCwd);
      const into: CommonOptions = {
        ...{ cwd, stack: options.into },
        ...(options.intoCwd
          ? { typedCwd: options.intoCwd }
          : stack.typedCwd && { typedCwd: stack.typedCwd }),
        ...(options.intoName !== undefined && { name: options.intoName }),
        ...(options.intoDatabase !== undefined && { database: options.intoDatabase }),
        json: stack.json ?? false,
      };
      requireOtherName(options.into);
      const target = { session: await open(into), stack: into, source: stack };
      const chosen = { ...options, noOwner: owner === false };
      exit(await clone(await open(stack), target, time.join(" "), chosen));
    })
    .addHelpText(
      "after",
      examples(
        "--stack production clone --into staging --mask mask.sql",
        "--stack production clone --into staging --mask mask.sql --role staging_app",
        "--stack production clone 2026-11-24 03:15:02 --into staging --globals --drop-after 7d",
        "--stack production clone --into staging --mask mask.sql --yes --json",
      ),
    );

  program
    .command("env")
    .description(
      "Print what the container was started with, secrets too, as lines of a .env file for other tools.",
    )
    .option("--docker", "Without quotes, as docker run --env-file reads it.")
    .action(async (options, command: Command) => env(await open(common(command)), options))
    .addHelpText("after", examples("env > backup.env", "env --docker > backup.env", "env --json"));

  program
    .command("status")
    .description("Show the container, the newest backup, and whether it is young enough.")
    .option("--all", "Every stack of the project, a row each. Containers are not asked.")
    .option("--stacks <file>", "The stacks that a file names, one a line, with a folder in front.")
    .option("--html <file>", "Write a page about these stacks, or about this one.")
    .action(async (options: FleetOptions, command: Command) => {
      const stack = common(command);
      if (Object.keys(options).length === 0) return exit(await status(await open(stack), stack));
      const screen = new Screen(stack.json ?? false, terminal);
      try {
        exit(await fleetStatus(screen, stack, options));
      } finally {
        screen.clear();
      }
    })
    .addHelpText(
      "after",
      examples(
        "status",
        "status --json",
        "status --all",
        "status --stacks stacks.txt --html backups.html",
      ),
    );

  program
    .command("notify")
    .description("Send a test message to the webhook, as the container would.")
    .requiredOption("--test", "Send it.")
    .action(async (_, command: Command) => notify(await open(common(command))))
    .addHelpText("after", examples("notify --test", "notify --test --json"));

  program
    .command("doctor")
    .description(
      "Check everything between this machine and the newest backup, and say what to mend first. Works before the first pulumi up. Exit code 1: a check failed; 3: none failed, but not all could be made.",
    )
    .action(async (_, command: Command) => {
      const stack = common(command);
      const screen = new Screen(stack.json ?? false, terminal);
      try {
        exit(await doctor(screen, stack));
      } finally {
        screen.clear();
      }
    })
    .addHelpText("after", examples("doctor", "--stack production doctor", "doctor --json"));

  program
    .command("drift")
    .description(
      "Compare bucket, container and backups with the declaration. Exit code 0: equal; 7: drift; another: not checked.",
    )
    .action(async (_, command: Command) => {
      const stack = { ...common(command), needsEngine: true } as const;
      exit(await drift(await open(stack), stack));
    })
    .addHelpText("after", examples("drift", "--stack production drift --json"));

  program
    .command("completion")
    .description("Print a script with which a shell completes commands and options.")
    .addArgument(new Argument("<shell>", "Which shell.").choices(SHELLS))
    .action((shell: Shell, _, command: Command) => {
      const script = completionScript(program, shell);
      const screen = new Screen(common(command).json ?? false, terminal);
      screen.exactLine(script.trimEnd());
      screen.document({ shell, script });
    })
    .addHelpText(
      "after",
      examples(
        "completion bash > ~/.kamal-postgres-backup.bash",
        "completion zsh > ~/.kamal-postgres-backup.zsh",
        "completion fish > ~/.config/fish/completions/kamal-postgres-backup.fish",
      ) +
        "\n\nIn bash and zsh, source the file at the end of ~/.bashrc or ~/.zshrc. Print it again after an upgrade.",
    );

  return program;
}

interface CloneFlags extends Omit<CloneOptions, "noOwner"> {
  /** False with --no-owner. */
  readonly owner?: boolean;
  readonly intoCwd?: string;
  readonly intoName?: string;
  readonly intoDatabase?: string;
}

function common(command: Command): CommonOptions {
  const options = command.optsWithGlobals<Partial<CommonOptions>>();
  const { cwd = "." } = options;
  return { ...options, cwd: resolve(cwd), ...(options.cwd && { typedCwd: cwd }) };
}

/** For an option that may be given several times. */
function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ npx ${name} ${line}`).join("\n")}`;
}

function printError(
  error: unknown,
  { json = false, debug }: Partial<CommonOptions>,
  terminal: Terminal,
): void {
  const known = error instanceof Problem || error instanceof Interrupted;
  const message = messageOf(error);
  const sentence = known ? message : `defect in ${name}: ${message} (--debug shows where)`;
  const text = debug && error instanceof Error ? (error.stack ?? sentence) : sentence;
  const screen = new Screen(json, terminal);
  screen.warn(`error: ${text}`);
  screen.document({ error: sentence });
}
