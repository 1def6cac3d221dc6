import { Problem } from "../../common/problem.ts";
import { databasesInBucket } from "../backups/bucketSource.ts";
import { committedBackup, factsOf, type RecoveryRequest } from "../recovery/facts.ts";
import { LEFT, type Left, lookAround } from "../recovery/left.ts";
import { type Action, type Step, stepsFor } from "../recovery/steps.ts";
import { restore } from "../restore/restore.ts";
import { forDatabase } from "../session/databases.ts";
import { readIdentity } from "../session/identity.ts";
import { type CommonOptions, openSession } from "../session/session.ts";
import { runUp } from "../stack/pulumi.ts";
import { askLine } from "../terminal/askLine.ts";
import { requireTerminal } from "../terminal/confirm.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { formatDuration, plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import { Screen } from "../terminal/screen.ts";
import { backup } from "./backup.ts";
import { list } from "./list.ts";
import { verify } from "./verify.ts";

export interface RecoverOptions extends Omit<RecoveryRequest, "wanted"> {
  /** What is left; absent: it is asked. */
  readonly left?: Left;
  /** Shows the steps, and changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Goes on without asking; the steps that the reader does count as done. @default false */
  readonly yes?: boolean;
}

/** What a step left behind for machines: its documents, one for each database. */
class StepScreen extends Screen {
  readonly documents: unknown[] = [];

  override document(value: unknown): void {
    this.documents.push(value);
  }
}

/**
 * Walks through a recovery: asks what is left, shows the steps, runs those that can be run from here, and waits for the others.
 * @param time of the backup, or `latest`; empty: it is asked where the newest may hold the damage
 * @returns the exit code: that of the restore or the check that did not end well
 */
export async function recover(
  screen: Screen,
  common: CommonOptions,
  time: string,
  options: RecoverOptions,
): Promise<number> {
  const started = performance.now();
  const asks = options.yes !== true && options.dryRun !== true;
  if (asks) requireTerminal(screen, "recover asks before each step that changes something");
  const committed = committedBackup(common, options);
  const { likely, session, seen } = await lookAround(common, screen, committed);
  const left = options.left ?? (await whatIsLeft(screen, likely, seen, asks));
  if (session === undefined && (left === "all" || left === "stack")) throw stackMissing(left, seen);
  if (committed instanceof Problem && (left === "server" || left === "project")) throw committed;
  const isNewServer = left === "stack" || left === "project";
  const oldHost = session?.container.host ?? (committed instanceof Problem ? "" : committed.host);
  const newHost =
    options.newHost ??
    (isNewServer && asks
      ? await answer(screen, "Which address has the new server?", oldHost)
      : undefined);
  const wanted = time || (left === "all" && asks ? await whichBackup(screen, common) : "latest");
  const needsIdentity =
    committed instanceof Problem ? session?.backup.encrypts === true : committed.needsIdentity;
  const identity =
    options.identity ??
    (needsIdentity && asks && left !== "bucket" ? await whichIdentity(screen) : undefined);
  const facts = factsOf(common, { ...options, newHost, wanted, identity }, session, committed);
  const steps = stepsFor(left, facts);
  screen.clear();
  screen.line(`${paint.strong("What is left")}: ${LEFT[left]}.`);
  const results: Partial<Record<Action, readonly unknown[]>> = {};
  const document = { left, host: facts.host, steps };
  let code: number = EXIT.well;
  for (const [index, step] of steps.entries()) {
    printStep(screen, step, index + 1, steps.length);
    if (options.dryRun) continue;
    const { action } = step;
    if (action === undefined) {
      if (asks && left !== "bucket") await proceed(screen, "Is this done?", index, steps.length);
      continue;
    }
    // A restore asks by itself, and a check changes nothing.
    if (asks && (action === "up" || action === "backup")) {
      await proceed(screen, `Run this now?`, index, steps.length);
    }
    const inner = new StepScreen(screen.json, screen.terminal);
    code = await runStep(action, inner, common, wanted, { ...options, identity }, left);
    if (inner.documents.length > 0) results[action] = inner.documents;
    if (code !== EXIT.well && action === "restore") break;
  }
  const took = Math.round(performance.now() - started);
  if (!options.dryRun && left !== "bucket" && code === EXIT.well) {
    screen.line();
    screen.line(
      `${paint.good("Recovered")} in ${plural(steps.length, "step")} and ${formatDuration(took)}.`,
    );
  }
  screen.document({
    ...document,
    ...(options.dryRun ? { dryRun: true } : { results, elapsedMs: took }),
  });
  return code;
}

function stackMissing(left: Left, seen: readonly string[]): Problem {
  return new Problem(
    `--left ${left} needs the stack. ${seen[0] ?? ""} If its state is lost, take --left project.`,
  );
}

async function runStep(
  action: Action,
  screen: Screen,
  common: CommonOptions,
  wanted: string,
  { identity, yes }: RecoverOptions,
  left: Left,
): Promise<number> {
  if (action === "up") {
    await runUp(common, yes === true ? (line) => screen.warn(line) : undefined);
    return EXIT.well;
  }
  try {
    // After `pulumi up` the stack may have another host.
    const session = await openSession(common, screen);
    if (action === "backup") {
      await backup(session, {});
      return EXIT.well;
    }
    const known = { ...(identity && { identity }) };
    const agreed = { ...known, ...(yes && { yes }) };
    if (left === "all") return await restore(session, common, wanted, agreed);
    let code: number = EXIT.well;
    // A new server needs every database that the backup has.
    for (const name of session.databases ?? (await databasesInBucket(session, common))) {
      const one = forDatabase(session, name);
      const ended =
        action === "verify"
          ? await verify(one, "latest", known)
          : await restore(one, common, wanted, { ...agreed, globals: true });
      code = Math.max(code, ended);
    }
    return code;
  } finally {
    screen.clear();
  }
}

function printStep(screen: Screen, step: Step, number: number, all: number): void {
  screen.line();
  screen.line(`${paint.strong(`Step ${number} of ${all}`)}: ${step.what}`);
  const indent = step.script ? "" : "  ";
  for (const command of step.commands) screen.exactLine(`${indent}${command}`);
  for (const note of step.notes ?? []) screen.line(note);
}

/** @throws Problem where somebody must be asked and cannot */
async function whatIsLeft(
  screen: Screen,
  likely: Left,
  seen: readonly string[],
  asks: boolean,
): Promise<Left> {
  const kinds = Object.entries(LEFT) as [Left, string][];
  if (!asks) {
    throw new Problem(
      "what is left is not known, and nobody is asked. Give --left all, stack, server, project or bucket.",
    );
  }
  screen.clear();
  for (const line of seen) screen.warn(line);
  for (const [index, [, text]] of kinds.entries()) screen.warn(`  ${index + 1}  ${text}`);
  const usual = String(kinds.findIndex(([kind]) => kind === likely) + 1);
  const typed = await answer(screen, "What is left?", usual);
  const [kind] = kinds[Number(typed) - 1] ?? [];
  if (kind !== undefined) return kind;
  throw new Problem(`"${typed}" is none of the numbers 1 to ${kinds.length}; nothing was changed.`);
}

/** The newest backup may hold the damage. */
async function whichBackup(screen: Screen, common: CommonOptions): Promise<string> {
  const shown = new StepScreen(screen.json, screen.terminal);
  try {
    await list(await openSession(common, shown), common, {});
  } finally {
    shown.clear();
  }
  return answer(screen, "Which backup, by its time?", "latest");
}

/** A restore that finds out late that it lacks the key has cost minutes. */
async function whichIdentity(screen: Screen): Promise<string | undefined> {
  const none = "none";
  const file = await answer(screen, "Which file has the age identity?", none);
  if (file === none) return undefined;
  await readIdentity(file);
  return file;
}

/** @param usual what an empty answer means */
async function answer(screen: Screen, question: string, usual: string): Promise<string> {
  screen.clear();
  screen.warn(question);
  const typed = await askLine(screen, `Enter takes ${usual}, to continue: `, {
    interrupted: "interrupted; nothing was changed.",
    ended: "nothing was typed; nothing was changed.",
  });
  return typed.trim() || usual;
}

/** Waits for Enter. */
async function proceed(screen: Screen, question: string, done: number, all: number): Promise<void> {
  screen.clear();
  screen.warn(question);
  const stopped = `stopped before step ${done + 1} of ${all}. Run recover again to continue: what is done already does no harm.`;
  const typed = await askLine(screen, "Press Enter to continue: ", {
    interrupted: `interrupted; ${stopped}`,
    ended: stopped,
  });
  if (typed.trim() !== "") throw new Problem(stopped);
}
