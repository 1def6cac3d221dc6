import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pipeline, type Readable, type Writable } from "node:stream";
import { Problem } from "./problem.ts";

/**
 * Somebody at the keyboard, or a signal, has ended what was going on. No Problem: whoever goes on after one would go on after
 * Ctrl-C.
 */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Somebody else has ended the program with a signal. */
export class ProgramKilled extends Problem {}

export interface Outcome {
  readonly code: number;
  /** The last 64 KiB. */
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Sentence for a program, or a folder, that does not exist: both carry the same code. */
  readonly missing: string;
  /** Sentence for an interruption from the keyboard or by a signal. */
  readonly interrupted: string;
  /** Ends a program that takes longer. @default it may take as long as it wants */
  readonly limit?: {
    readonly milliseconds: number;
    /** Sentence for one that took longer. */
    readonly exceeded: string;
  };
  /** Standard input; absent: none. */
  readonly input?: string | Uint8Array;
  /** Keeps standard input open behind `input`, so that its end tells the program that nobody wants it any more. */
  readonly lifeline?: Lifeline;
  /**
   * Called for each line of standard output; what it throws ends the program.
   * @param reply writes to standard input, which only a lifeline keeps open
   */
  readonly onLine: (line: string, reply: (text: string) => void) => void;
  /** Takes standard output as it comes; then `onLine` is called for the lines of standard error. */
  readonly output?: Writable;
}

/** How a program learns that it is still wanted, and that it is not. */
export interface Lifeline {
  /** Written again and again, so that a connection which is gone without a word is noticed at the other end. */
  readonly beat: string;
  readonly everyMs: number;
  /**
   * Called at the first interruption.
   * @returns whether the program is waited for, with its standard input ended; then a second interruption ends it, as does the
   * limit. Else it is ended at once
   */
  readonly onInterrupted: () => boolean;
  /** How long it is waited for. */
  readonly patienceMs: number;
}

/**
 * Runs a program without a shell. An interruption ends the program and comes back as an error, so that
 * the caller can tidy up.
 * @throws Interrupted when it was stopped from here; Problem when it cannot be started, is stopped by others, or takes longer
 * than it may
 */
export function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const { lifeline } = options;
    const child = spawn(program, args, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdio: "pipe",
      // In a session of its own, because a terminal sends Ctrl-C to everything in its own one.
      detached: lifeline !== undefined,
    });
    // EPIPE: the program ended before it read it; its exit code says why.
    child.stdin.on("error", () => {});
    if (lifeline === undefined) child.stdin.end(options.input);
    else if (options.input !== undefined) child.stdin.write(options.input);
    const beats = lifeline && setInterval(() => child.stdin.write(lifeline.beat), lifeline.everyMs);
    let patience: NodeJS.Timeout | undefined;
    let failure: unknown;
    const kill = (signal: NodeJS.Signals) => {
      if (lifeline === undefined || child.pid === undefined) child.kill(signal);
      else killGroup(child.pid, signal);
    };
    const stop = (reason: unknown) => {
      failure ??= reason;
      kill("SIGTERM");
    };
    const end = () => {
      if (failure instanceof Interrupted) kill("SIGKILL");
      else stop(new Interrupted(options.interrupted));
    };
    const forget = onInterrupt(() => {
      if (lifeline === undefined || patience !== undefined || !lifeline.onInterrupted()) {
        end();
        return;
      }
      clearInterval(beats);
      child.stdin.end();
      patience = setTimeout(end, lifeline.patienceMs);
    });
    const { limit } = options;
    const timer = limit && setTimeout(() => stop(new Problem(limit.exceeded)), limit.milliseconds);

    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-65_536);
    });
    const { output } = options;
    const lines = createInterface({ input: output === undefined ? child.stdout : child.stderr });
    const read = Promise.all([
      new Promise<void>((done) => lines.once("close", done)),
      output && written(child.stdout, output).catch(stop),
    ]);
    lines.on("line", (line) => {
      try {
        options.onLine(line, (text) => child.stdin.write(text));
      } catch (error) {
        stop(error);
      }
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      stop(
        error.code === "ENOENT" || error.code === "ENOTDIR"
          ? new Problem(options.missing, { cause: error })
          : error,
      );
    });
    child.on("exit", () => {
      if (failure === undefined) return;
      // What it has started, such as the ssh to a bastion, may live on for a while and hold these open.
      child.stdout.destroy();
      child.stderr.destroy();
      lines.close();
    });
    child.on("close", async (code, signal) => {
      clearTimeout(timer);
      clearInterval(beats);
      clearTimeout(patience);
      forget();
      await read;
      if (failure !== undefined) reject(failure);
      else if (code === null) reject(new ProgramKilled(`${program} was stopped by ${signal}`));
      else resolve({ code, stderr });
    });
  });
}

/** A program in a session of its own, which no terminal reaches, with all that it has started there. */
function killGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // It has ended by itself.
  }
}

/** @throws whatever kept the output from being written */
function written(from: Readable, output: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    pipeline(from, output, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * From the keyboard (Ctrl-C, Ctrl-\), by a program, and when the terminal is closed. Without a listener each would end
 * this process at once, with its temporary files left behind.
 */
const INTERRUPTIONS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** What is to be stopped by an interruption. One listener for all, because Node warns of more than ten. */
const interruptible = new Set<() => void>();

function interrupt(): void {
  for (const stop of interruptible) stop();
}

/**
 * Has something stopped by an interruption, which then does not end this process.
 * @returns a function that takes it back
 */
export function onInterrupt(stop: () => void): () => void {
  if (interruptible.size === 0) for (const name of INTERRUPTIONS) process.on(name, interrupt);
  interruptible.add(stop);
  return () => {
    interruptible.delete(stop);
    if (interruptible.size === 0) for (const name of INTERRUPTIONS) process.off(name, interrupt);
  };
}

/** The last line that says something. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
