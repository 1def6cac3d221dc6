import { readFile } from "node:fs/promises";
import { type BackupOutputs, findBackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import { healingCommand } from "../stack/project.ts";
import { type StackChoice, stackOutputs } from "../stack/pulumi.ts";
import { sshKeys } from "../stack/stateSecrets.ts";
import { fileFault } from "../terminal/format.ts";
import type { Screen } from "../terminal/screen.ts";
import { type Container, containerOn } from "./agentCall.ts";
import type { KeySource } from "./hostConnection.ts";

/** The databases that a command is about; null: every one of the server, whose names the container knows. */
export type Databases = readonly string[] | null;

/** Options that every command takes. */
export interface CommonOptions extends Pick<StackChoice, "needsEngine"> {
  readonly cwd: string;
  /** The folder as it was typed; absent: it was not. */
  readonly typedCwd?: string;
  readonly stack?: string;
  /** File with saved outputs, so that no Pulumi is needed. */
  readonly outputs?: string;
  /** Which backup, where the stack has several. */
  readonly name?: string;
  /** Which host, where the backup has several. */
  readonly host?: string;
  /** Which database, where the backup has several. */
  readonly database?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** What every command works with. */
export interface Session {
  /** `database` is the one that the command is about; where it is about several, the first; of every one, empty. */
  readonly backup: BackupOutputs;
  /** Those that the command is about. */
  readonly databases: Databases;
  /** The command reads the copies; then location, retention and RPO of `backup` are theirs. */
  readonly ofCopy?: true;
  readonly container: Container;
  readonly screen: Screen;
  /**
   * A command of this program as it can be pasted here, for the same stack, backup and host.
   * @param words as the agent has quoted them: `undo shop_before_20261124T102110`
   */
  readonly commandLine: (words: string) => string;
}

/**
 * Finds the backup and its container.
 * @throws Problem when the stack publishes no backup, or the choice is not clear
 */
export async function openSession(options: CommonOptions, screen: Screen): Promise<Session> {
  if (options.outputs === undefined) screen.waiting("asking Pulumi for the stack's outputs");
  const backup = chooseNamed(findBackups(await readOutputs(options)), options.name);
  const host = backup.hosts.find(({ host }) => options.host === undefined || host === options.host);
  if (host === undefined) {
    throw new Problem(
      `--host ${options.host}: ${backup.container} runs on ${backup.hosts.map((h) => h.host).join(", ")}.`,
    );
  }
  const databases = chooseDatabases(backup, options.database);
  screen.waiting(`asking ${host.host}`);
  const [first = backup.database] = databases === null ? [] : databases;
  return {
    backup: { ...backup, database: first },
    databases,
    container: containerOn(
      backup,
      host,
      healingCommand(options.cwd),
      keyInState(options, backup, host.host),
    ),
    screen,
    commandLine: (words) => commandLine(options, words),
  };
}

function commandLine(
  { stack, outputs, name, host, typedCwd }: CommonOptions,
  words: string,
): string {
  const given = { "--stack": stack, "--cwd": typedCwd, "--outputs": outputs, "--name": name };
  const options = Object.entries({ ...given, "--host": host }).flatMap(([option, value]) =>
    value === undefined ? [] : [option, shellQuote(value)],
  );
  return ["npx", "kamal-postgres-backup", ...options, words].join(" ");
}

/** The key that the program was given, as the stack's state holds it. Saved outputs do not say of which stack they are. */
function keyInState(options: CommonOptions, { container }: BackupOutputs, host: string): KeySource {
  return async () => {
    if (options.outputs !== undefined && options.stack === undefined) {
      return {
        none: "A key that the program was given was not looked for: with --outputs alone there is no state to take it from. Name the stack too: --stack.",
      };
    }
    const keys = await sshKeys(options, container, host);
    return keys === undefined
      ? { none: `The stack's state holds no key for ${container} on ${host} either.` }
      : { keys };
  };
}

/** Reads the outputs from the file, else from the stack. */
async function readOutputs(options: CommonOptions): Promise<Record<string, unknown>> {
  if (options.outputs === undefined) return stackOutputs(options);
  let text: string;
  try {
    text = await readFile(options.outputs, "utf8");
  } catch (error) {
    throw new Problem(`--outputs ${options.outputs} cannot be read: ${fileFault(error)}.`, {
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(
      `--outputs ${options.outputs} is not JSON. Make it with: pulumi stack output --json > ${options.outputs}`,
      { cause: error },
    );
  }
  // One output alone is as good as all of them.
  return (value as { kind?: unknown } | null)?.kind === undefined
    ? ((value ?? {}) as Record<string, unknown>)
    : { backup: value };
}

/** @throws Problem when there is none, or another version wrote them */
export function findBackups(outputs: Record<string, unknown>): BackupOutputs[] {
  let found: BackupOutputs[];
  try {
    found = findBackupOutputs(outputs);
  } catch (error) {
    throw new Problem(
      "the stack's outputs were written by another version of kamal-postgres-backup. Use that version here, or run pulumi up with this one.",
      { cause: error },
    );
  }
  if (found.length > 0) return found;
  const names = Object.keys(outputs);
  throw new Problem(
    `the stack publishes no backup (outputs: ${names.join(", ") || "none"}). Run pulumi up first, and export the component's outputs from the program: export const backup = new PostgresBackup(...).outputs`,
  );
}

/** @throws Problem when the name matches none, or several are there and none is named */
export function chooseNamed(backups: readonly BackupOutputs[], name?: string): BackupOutputs {
  const names = backups.map((backup) => backup.name).join(", ");
  const matching = backups.filter((backup) => name === undefined || backup.name === name);
  const [first, second] = matching;
  if (first === undefined) throw new Problem(`--name ${name}: the stack has ${names}.`);
  if (second !== undefined)
    throw new Problem(`the stack has several backups: ${names}. Choose one with --name.`);
  return first;
}

/**
 * The databases that a command is about.
 * @param wanted the one to take; absent: all
 * @throws Problem when the backup does not hold it
 */
function chooseDatabases(
  { name, database, databases = [database] }: BackupOutputs,
  wanted?: string,
): Databases {
  // One that is gone from the server may still be in the bucket.
  if (databases === "all") return wanted === undefined ? null : [wanted];
  if (wanted === undefined) return databases;
  if (databases.includes(wanted)) return [wanted];
  throw new Problem(`--database ${wanted}: the backup ${name} has ${databases.join(", ")}.`);
}
