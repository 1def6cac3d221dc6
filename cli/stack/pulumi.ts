import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
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
  /** Saved outputs would not do: the command asks the engine itself. */
  readonly needsEngine?: true;
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
 * Names of the project's stacks, in the order in which Pulumi lists them.
 * @throws Problem when there is no Pulumi or no project
 */
export async function stackNames(cwd: string): Promise<string[]> {
  const choice = { cwd, needsEngine: true } as const;
  const { code, stdout, stderr } = await run(choice, ["stack", "ls", "--json"]);
  if (code !== 0) throw pulumiProblem(choice, "stack ls", stderr);
  const stacks = parsed(choice, "stack ls", stdout) as readonly { readonly name: string }[];
  return stacks.map(({ name }) => name);
}

/**
 * Sets values of the stack's configuration. They go in by standard input, where no list of processes shows them.
 * @param plain, secret values by key, `existingBucket.name` for a part of one
 * @param options.namespace of the keys, the project's name @default that of the program in `stacks/`
 * @throws Problem when Pulumi does not take one
 */
export async function setConfiguration(
  choice: StackChoice,
  plain: Readonly<Record<string, string>>,
  secret: Readonly<Record<string, string>>,
  { namespace = "kamal-postgres-backup", env = {} }: SettingOptions = {},
): Promise<void> {
  const needed = { ...choice, needsEngine: true } as const;
  const set = async (key: string, value: string, kind: "--plaintext" | "--secret") => {
    const words = ["config", "set", "--path", `${namespace}:${key}`, kind];
    const { code, stderr } = await run(needed, words, env, value);
    if (code !== 0) throw pulumiProblem(needed, `config set ${key}`, stderr);
  };
  for (const [key, value] of Object.entries(plain)) await set(key, value, "--plaintext");
  for (const [key, value] of Object.entries(secret)) await set(key, value, "--secret");
}

interface SettingOptions {
  readonly namespace?: string;
  /** Added to the environment of Pulumi. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Where Pulumi keeps the states of stacks: `https://api.pulumi.com`, `file://~`.
 * @returns undefined where it is logged in nowhere
 */
export async function stateBackend(cwd: string): Promise<string | undefined> {
  const choice = { cwd, needsEngine: true } as const;
  const { code, stdout } = await run(choice, ["whoami", "--verbose", "--json"]);
  if (code !== 0) return undefined;
  const { url } = parsed(choice, "whoami", stdout) as { url?: unknown };
  return typeof url === "string" ? url : undefined;
}

/**
 * Makes a stack and selects it. Its settings may be there before it.
 * @returns false: Pulumi's state has it already, and it is not selected
 * @throws Problem when Pulumi does not make it
 */
export async function createStack(
  cwd: string,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<boolean> {
  const choice = { cwd, needsEngine: true } as const;
  const { code, stderr } = await run(choice, ["stack", "init", name], env);
  if (code === 0) return true;
  if (/^error: stack '.*' already exists$/m.test(stderr)) return false;
  throw pulumiProblem({ ...choice, stack: name }, "stack init", stderr);
}

/** Selects the stack that commands are about which name none. */
export async function selectStack(
  cwd: string,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const choice = { cwd, needsEngine: true } as const;
  const { code, stderr } = await run(choice, ["stack", "select", name], env);
  if (code !== 0) throw pulumiProblem({ ...choice, stack: name }, "stack select", stderr);
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
      const reasons = errors.join("; ");
      const remedy = remedyFor(reasons);
      throw new Problem(
        `the check could not be made: ${reasons}${remedy === undefined ? "" : `. ${remedy}.`}`,
      );
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

/**
 * Runs `pulumi up`.
 * @param agreed it does not ask, and each line that it prints goes there; absent: it shows its preview and asks on this terminal
 * @throws Problem when it fails; Pulumi itself has printed why
 */
export async function runUp(choice: StackChoice, agreed?: (line: string) => void): Promise<void> {
  const code = agreed === undefined ? await upOnTerminal(choice) : await upAgreed(choice, agreed);
  if (code === 0) return;
  throw new Problem(
    `pulumi up ended with exit code ${code}, for the reason that it printed. Mend that, and run this command again.`,
  );
}

async function upOnTerminal(choice: StackChoice): Promise<number> {
  const child = spawn("pulumi", ["up", ...stackWords(choice)], {
    cwd: choice.cwd,
    env: { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" },
    stdio: "inherit",
  });
  // Both are on the terminal, which sends Ctrl-C to both; this one waits for what Pulumi makes of it.
  const wait = () => {};
  process.on("SIGINT", wait);
  try {
    const [code] = await once(child, "close");
    return code ?? 1;
  } catch {
    throw new Problem(missingSentence(choice, ["up"]));
  } finally {
    process.off("SIGINT", wait);
  }
}

async function upAgreed(choice: StackChoice, onLine: (line: string) => void): Promise<number> {
  const words = ["up", "--yes", ...stackWords(choice), "--non-interactive", "--color", "never"];
  const { code, stderr } = await runProgram("pulumi", words, {
    cwd: choice.cwd,
    env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
    missing: missingSentence(choice, words),
    interrupted: "interrupted. Run pulumi up again: it goes on from what is there.",
    onLine,
  });
  for (const line of stderr.split("\n").filter(Boolean)) onLine(line);
  return code;
}

function stackWords({ stack }: StackChoice): string[] {
  return stack === undefined ? [] : ["--stack", stack];
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

/** What helps, by Pulumi's own words for what is missing; the first that matches counts. */
const REMEDIES: readonly (readonly [words: RegExp, remedy: string])[] = [
  [
    /PULUMI_ACCESS_TOKEN|logged in|pulumi login/i,
    "Log in: pulumi login, with --local where the state is in files of this machine; a job sets PULUMI_ACCESS_TOKEN, or PULUMI_BACKEND_URL",
  ],
  [/incorrect passphrase/i, "PULUMI_CONFIG_PASSPHRASE is another one than the stack's"],
  [
    /passphrase/i,
    "Set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE, to the stack's passphrase",
  ],
  [
    /no (resource|language) plugin|(find|load|missing).* plugin|plugin .*(not found|not installed)/i,
    "Install the project's plugins, in the folder with Pulumi.yaml: pulumi install",
  ],
  [/Pulumi\.yaml|no project|no stack|stack .*not found/i, "Say where with --cwd and --stack"],
];

function remedyFor(reason: string): string | undefined {
  return REMEDIES.find(([words]) => words.test(reason))?.[1];
}

const SAVED_OUTPUTS = "give saved outputs with --outputs FILE";

function pulumiProblem(choice: StackChoice, command: string, stderr: string): Problem {
  const errorLine = stderr.split("\n").find((line) => line.startsWith("error: "));
  const where = choice.stack === undefined ? choice.cwd : `${choice.cwd}, stack ${choice.stack}`;
  const reason = (errorLine ?? lastLine(stderr)).replace(/^error: /, "").replace(/\.$/, "");
  const remedy = remedyFor(reason);
  const advice = [remedy, command === "stack output" && !choice.needsEngine ? SAVED_OUTPUTS : ""]
    .filter(Boolean)
    .join(", or ");
  const end = advice === "" ? "" : ` ${advice.charAt(0).toUpperCase()}${advice.slice(1)}.`;
  return new Problem(`pulumi ${command} (${where}): ${reason}.${end}`);
}

function missingSentence({ cwd, needsEngine }: StackChoice, args: readonly string[]): string {
  if (!existsSync(cwd)) return `--cwd ${cwd}: there is no such folder.`;
  const saved = args.includes("output") && !needsEngine ? `, or ${SAVED_OUTPUTS}` : "";
  return `pulumi is not on PATH. Install it as https://www.pulumi.com/docs/install says${saved}.`;
}

async function run(
  choice: StackChoice,
  args: readonly string[],
  env: Record<string, string> = {},
  input?: string,
): Promise<Outcome & { stdout: string }> {
  const lines: string[] = [];
  const outcome = await runProgram(
    "pulumi",
    [...args, ...stackWords(choice), "--non-interactive", "--color", "never"],
    {
      cwd: choice.cwd,
      env: { PULUMI_SKIP_UPDATE_CHECK: "true", ...env },
      missing: missingSentence(choice, args),
      interrupted:
        input === undefined
          ? "interrupted. Nothing was changed."
          : "interrupted. pulumi config shows which settings were set.",
      ...(input !== undefined && { input }),
      onLine: (line) => lines.push(line),
    },
  );
  return { ...outcome, stdout: lines.join("\n") };
}
