import { rmSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import type { TestContext } from "node:test";
import { Screen } from "../../../cli/terminal/screen.ts";
import type { Entry } from "../../../common/contracts/agentEvents.ts";
import { inspected, outputs } from "./factories.ts";
import { type Answer, type Answered, forgetStandIns, layAnswer, layStandIns } from "./standIns.ts";

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A folder that stands in for the world outside: an `ssh` and a `pulumi` that replay what the real ones say, first on
 * PATH of the real command line.
 */
export class Outside {
  readonly folder: string;
  /** Of the terminal that a command writes to; undefined: it writes to none. */
  columns: number | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(t: TestContext): Promise<Outside> {
    const folder = await mkdtemp(join(tmpdir(), "cli-test-"));
    t.after(() => {
      forgetStandIns(folder);
      rmSync(folder, { recursive: true, force: true });
    });
    const outside = new Outside(folder);
    layStandIns(folder);
    await outside.asks("restore", []);
    await outside.answer("outputs", { out: JSON.stringify({ backup: outputs }) });
    const left = { kept: [], records: [], uploads: null, remarks: [] };
    await outside.answer("activity", { out: [{ event: "activity", runs: [], ...left }] });
    await outside.answer("inspect", { out: inspected() });
    await outside.answer("health", { err: "executable file not found\n", code: 127 });
    await outside.answer("up", {});
    await outside.answer("state", { out: '{"version":3,"deployment":{}}' });
    await outside.answer("whoami", { out: '{"user":"ann","url":"https://api.pulumi.com"}' });
    await outside.answer("made", {});
    return outside;
  }

  async answer(what: Answered, answer: Answer): Promise<void> {
    layAnswer(this.folder, what, answer);
  }

  /**
   * What the agent asks before it goes on.
   * @param losses what is not restored, of each question
   */
  async asks(what: "restore", ...losses: readonly (readonly string[])[]): Promise<void> {
    const questions = losses.map((notRestored, index) => ({
      event: "question",
      question: index === 0 ? "Restore?" : "Put it in the place of the live one all the same?",
      name: "shop_production",
      notRestored,
    }));
    const text = questions.map((question) => `${JSON.stringify(question)}\n`).join("");
    await writeFile(join(this.folder, `${what}.questions`), text);
  }

  /** What the agent was answered. */
  async replies(what: "restore"): Promise<string[]> {
    const text = await readFile(join(this.folder, `${what}.replies`), "utf8").catch(() => "");
    return text.split("\n").filter(Boolean);
  }

  /** The backups that the agent lists. */
  async backups(...backups: Entry[]): Promise<void> {
    await this.answer("list", { out: [{ event: "list", backups }] });
  }

  /** What the agent's command has read from standard input. */
  input(what: "restore" | "verify" | "undo"): Promise<string> {
    return readFile(join(this.folder, `${what}.in`), "utf8");
  }

  /** Arguments of each call so far. */
  async calls(program: "ssh" | "pulumi"): Promise<string[][]> {
    const text = await readFile(join(this.folder, `${program}.args`), "utf8").catch(() => "");
    return text
      .split("--next--\n")
      .filter(Boolean)
      .map((call) => call.trimEnd().split("\n"));
  }

  /**
   * Types a command, within this process. The folder and the environment are this process's while it runs, so only one runs
   * at a time.
   * @param answers what is typed at each question, with the key that ends it; none: standard input is no terminal
   */
  async run(
    args: readonly string[],
    env: Record<string, string> = {},
    ...answers: readonly string[]
  ): Promise<Result> {
    // Loaded here, so that tests that only make backups and outputs of it start faster.
    const { runCommandLine } = await import("../../../cli/program.ts");
    const input = Object.assign(new PassThrough(), { isTTY: answers.length > 0 });
    const terminal = this.columns !== undefined && { isTTY: true, columns: this.columns };
    // What is typed before the question is there is dropped; with each key it is drawn again.
    let asked = 0;
    let planned = 0;
    const ask = (text: string) => {
      if (/\?\n/.test(text)) planned += 1;
      if (asked === planned || !text.includes("to continue:")) return;
      const answer = answers[asked];
      asked += 1;
      if (answer !== undefined) setImmediate(() => input.write(answer));
    };
    const out = Object.assign(new Text(), terminal);
    const err = Object.assign(new Text(ask), terminal);
    return this.within(env, async () => {
      const code = await runCommandLine(args, { input, out, err });
      return { code, stdout: out.text, stderr: err.text };
    });
  }

  /** Does something in the folder and with its environment, which are this process's meanwhile. */
  async within<T>(env: Record<string, string>, work: () => Promise<T>): Promise<T> {
    const before = { cwd: process.cwd(), env: { ...process.env } };
    try {
      process.chdir(this.folder);
      setEnvironment(this.environment(env));
      return await work();
    } finally {
      process.chdir(before.cwd);
      setEnvironment(before.env);
    }
  }

  /** What a command finds of the environment: the folder's programs before all others, and nothing of this machine's own. */
  environment(more: Record<string, string> = {}): Record<string, string> {
    return {
      PATH: `${this.folder}:${dirname(process.execPath)}:/usr/bin:/bin`,
      TMPDIR: this.folder,
      NO_COLOR: "1",
      ...more,
    };
  }
}

/** Replaces the whole of it: a variable of the machine, such as SSH_AUTH_SOCK or GITHUB_STEP_SUMMARY, changes what a command does. */
function setEnvironment(variables: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, variables);
}

/** What a screen writes, as lines. */
export function printed(use: (screen: Screen) => void, columns?: number): string[] {
  const [out, err] = [new Text(), new Text()];
  const terminal = columns === undefined ? {} : { isTTY: true, columns };
  use(new Screen(false, { input: new PassThrough(), out: Object.assign(out, terminal), err }));
  return out.text.split("\n").slice(0, -1);
}

/** A stream that keeps what is written. */
export class Text extends Writable {
  /** A prompt ends the stream that it writes to unless it is one of the process's own, which have this mark. */
  readonly _isStdio = true;
  readonly #onText: ((text: string) => void) | undefined;
  text = "";

  constructor(onText?: (text: string) => void) {
    super();
    this.#onText = onText;
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    this.#onText?.(chunk.toString());
    done();
  }
}
