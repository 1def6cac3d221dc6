import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { lastLine, type Outcome, runProgram } from "../../common/process.ts";
import { type EngineEvent, parseEngineEvents } from "./engineEvents.ts";

/** Which stack of which project. */
export interface StackChoice {
  /** Folder with Pulumi.yaml, or one below it. */
  readonly cwd: string;
  /** Absent: the one that is selected. */
  readonly stack?: string | undefined;
}

/**
 * Plain outputs of the stack; what is secret reads `[secret]`.
 * The program `pulumi` itself is asked rather than the Automation API: that one would change which stack is selected.
 * @throws Problem when there is no Pulumi, no project or no such stack
 */
export async function stackOutputs(choice: StackChoice): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run(choice, ["stack", "output", "--json"]);
  if (code !== 0) throw pulumiProblem(choice, "stack output", stderr);
  return parsed(choice, "stack output", stdout) as Record<string, unknown>;
}

/**
 * The whole state of the stack with its secrets in plain: to be searched for the one that is needed, and never printed.
 * @throws Problem when Pulumi does not give it, for instance without the passphrase
 */
export async function stackState(choice: StackChoice): Promise<unknown> {
  const { code, stdout, stderr } = await run(choice, ["stack", "export", "--show-secrets"]);
  if (code !== 0) throw pulumiProblem(choice, "stack export", stderr);
  return parsed(choice, "stack export", stdout);
}

/**
 * Looks what became of each resource, without running the program and without changing the state.
 * @returns the engine's events. The digest of `refresh --json` would not do: it shows each resource before it was read
 * @throws Problem when any resource could not be read, because then nothing is known
 */
export async function previewRefresh(choice: StackChoice): Promise<EngineEvent[]> {
  const folder = await mkdtemp(join(tmpdir(), "kamal-postgres-backup-"));
  try {
    const log = join(folder, "events");
    // The flag is the Automation API's own way to the events; the CLI hides it unless it is asked for.
    const args = ["refresh", "--preview-only", "--suppress-progress", "--event-log", log];
    const { code, stderr } = await run(choice, args, { PULUMI_DEBUG_COMMANDS: "true" });
    const events = parseEngineEvents(await readFile(log, "utf8").catch(() => ""));
    const errors = events.flatMap(({ diagnosticEvent: d }) =>
      d?.severity === "error" && d.message.trim() !== "preview failed" ? [describe(d)] : [],
    );
    if (errors.length > 0) {
      throw new Problem(`the check could not be made: ${errors.join("; ")}`);
    }
    if (code !== 0) throw pulumiProblem(choice, "refresh --preview-only", stderr);
    if (!events.some((event) => event.summaryEvent)) {
      throw new Problem(
        "the check could not be made: pulumi refresh --preview-only ended without its summary. Use Pulumi 3.181 or later.",
      );
    }
    return events;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function describe(diagnostic: { message: string; urn?: string | undefined }): string {
  const name = diagnostic.urn?.split("::").at(-1);
  const message = diagnostic.message
    .replace(/^Preview failed: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
  return name ? `${name}: ${message}` : message;
}

function parsed(choice: StackChoice, command: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The reason would quote from the text, which may hold secrets.
    throw new Problem(`pulumi ${command} in ${choice.cwd} did not print JSON.`);
  }
}

function pulumiProblem(choice: StackChoice, command: string, stderr: string): Problem {
  const errorLine = stderr.split("\n").find((line) => line.startsWith("error: "));
  const where = choice.stack === undefined ? choice.cwd : `${choice.cwd}, stack ${choice.stack}`;
  return new Problem(
    `pulumi ${command} (${where}): ${(errorLine ?? lastLine(stderr)).replace(/^error: /, "")}. Say where with --cwd and --stack, or give saved outputs with --outputs FILE.`,
  );
}

async function run(
  choice: StackChoice,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome & { stdout: string }> {
  const stack = choice.stack === undefined ? [] : ["--stack", choice.stack];
  const lines: string[] = [];
  const outcome = await runProgram(
    "pulumi",
    [...args, ...stack, "--non-interactive", "--color", "never"],
    {
      cwd: choice.cwd,
      env: { PULUMI_SKIP_UPDATE_CHECK: "true", ...env },
      missing: `pulumi cannot be started in ${choice.cwd}: the folder does not exist, or pulumi is not on PATH. Give --cwd, install Pulumi, or give saved outputs with --outputs FILE.`,
      interrupted: "interrupted. Nothing was changed.",
      onLine: (line) => lines.push(line),
    },
  );
  return { ...outcome, stdout: lines.join("\n") };
}
