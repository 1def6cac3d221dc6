import { type ChildProcess, spawn } from "node:child_process";
import { on } from "node:events";
import { constants } from "node:os";
import { PassThrough, pipeline, type Readable, type Writable } from "node:stream";
import { Problem } from "../../common/problem.ts";
import { release } from "../../common/releaseBuffer.ts";

/** How a program ended. `code` is null when it is not known: its shell was killed. */
export interface ExitResult {
  readonly code: number | null;
  /** The last lines that it wrote to standard error. */
  readonly stderr: string;
}

interface Running {
  /** Standard input of the first program; null unless asked for. */
  readonly stdin: Writable | null;
  /** Standard output of the last program; empty where that is this process's own. */
  readonly stdout: Readable;
  /** Ends everything at once. */
  kill(): void;
}

export interface Program extends Running {
  /** Settles when it has ended; never rejects on its failure. */
  readonly ended: Promise<ExitResult>;
}

export interface Pipeline extends Running {
  /** Settles when both have ended; never rejects on their failure. */
  readonly ended: Promise<{ readonly first: ExitResult; readonly second: ExitResult }>;
}

interface Options {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: "ignore" | "pipe";
  /** `inherit`: what the last program writes goes where this process's own output goes, and never enters it. @default "pipe" */
  readonly stdout?: "pipe" | "inherit";
  /** Called with what the program, the first of two, writes to standard error. */
  readonly onStderr?: (text: string) => void;
}

/** Exit code of a program whose reader is gone. */
export const SIGPIPE = 141;

const STDERR_KEPT = 4096;

/**
 * Runs one program.
 * @param text shell text of a single command; `"$@"` stands for `args`. Never put a name or a value into it
 */
export function runProgram(
  text: string,
  { args, env, stdin, stdout = "pipe", onStderr }: Options,
): Program {
  // The program replaces the shell: what it writes comes here straight, and its end is the child's.
  const child = spawn("sh", ["-c", text, "program", ...args], {
    env,
    detached: true,
    stdio: [stdin, stdout, "pipe"],
  });
  const errors = tail(child.stderr as Readable, onStderr);
  return running(child, (code, signal) => ({
    // As a shell reports it.
    code: code ?? (signal === null ? null : 128 + constants.signals[signal]),
    stderr: errors().trim(),
  }));
}

/**
 * Runs `first | second` joined by a pipe of the kernel, so that what flows between them never enters this process.
 * The exit code of each side comes back over a descriptor of its own, because a shell's pipeline has only that of the last.
 * @param first shell text; `"$@"` stands for `args`. Never put a name or a value into it
 * @param second shell text
 */
export function runPipeline(
  first: string,
  second: string,
  {
    args,
    env,
    stdin,
    stdout = "pipe",
    secret,
    onStderr,
  }: Options & {
    /** A line that the first program may read from descriptor 5: arguments and environments can be seen by others. */
    readonly secret?: string;
  },
): Pipeline {
  // fd 2: errors of the first program, 3: exit codes, 4: errors of the second one, 5: the secret.
  const script = `{ ${first} 3>&- 4>&-; echo "first $?" >&3; } | { ${second} 2>&4 3>&- 4>&- 5<&-; echo "second $?" >&3; }`;
  const child = spawn("sh", ["-c", script, "pipeline", ...args], {
    env,
    detached: true,
    stdio: [
      stdin,
      stdout,
      "pipe",
      "pipe",
      "pipe",
      ...(secret === undefined ? [] : ["pipe" as const]),
    ],
  });
  if (secret !== undefined) {
    // EPIPE: the program ended before it read it; its exit code has the reason.
    (child.stdio as unknown as Writable[])[5]?.on("error", () => {}).end(`${secret}\n`);
  }
  const texts = [2, 3, 4].map((fd) =>
    tail(child.stdio[fd] as Readable, fd === 2 ? onStderr : undefined),
  );
  return running(child, () => {
    const [firstErrors, codes, secondErrors] = texts.map((text) => text());
    const code = (side: string) => {
      const found = new RegExp(`^${side} (\\d+)$`, "m").exec(codes ?? "")?.[1];
      return found === undefined ? null : Number(found);
    };
    return {
      first: { code: code("first"), stderr: (firstErrors ?? "").trim() },
      second: { code: code("second"), stderr: (secondErrors ?? "").trim() },
    };
  });
}

/** @param child in a process group of its own, so that all that it has started can be ended with it */
function running<T>(
  child: ChildProcess,
  result: (code: number | null, signal: NodeJS.Signals | null) => T,
) {
  // When a child ends, Node throws away the output that nobody has begun to read. A reader may come later: taken over
  // at once, the output waits for it.
  const stdout = new PassThrough();
  if (child.stdout === null) stdout.end();
  else pipeline(child.stdout, stdout, () => {});
  const ended = new Promise<T>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(result(code, signal)));
  });
  // Whoever awaits it sees the error; nobody awaiting it yet must not end the process.
  ended.catch(() => {});
  return {
    stdin: child.stdin,
    stdout,
    ended,
    kill: () => {
      // Node calls a child ended only when its output is, and what is left of that nobody will read.
      stdout.destroy();
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    },
  };
}

/**
 * The output of a program that nobody else reads, as it comes. What is yielded is valid only until the next one is asked for.
 * The stream's own iterator would join what came meanwhile into new, larger chunks.
 */
export async function* chunksOf(output: Readable): AsyncGenerator<Buffer> {
  const events = on(output, "data", { close: ["end", "close"], highWaterMark: 1, lowWaterMark: 1 });
  for await (const [chunk] of events as AsyncIterable<[Buffer]>) {
    yield chunk;
    release(chunk);
  }
  if (!output.readableEnded) throw new Error("the output was cut off");
}

/**
 * Reads a program's output as text, also when nobody wants it: a full pipe would block the program.
 * @param encoding `latin1`: a byte a character, for what may be in any encoding
 * @returns settles when the last piece has been handed over, or the output was cut off; the program's own end may come earlier
 */
export function readText(
  output: Readable,
  onText: (text: string) => void,
  encoding: "utf8" | "latin1" = "utf8",
): Promise<void> {
  output.setEncoding(encoding).on("data", onText);
  return new Promise((resolve) => output.once("close", () => resolve()));
}

/**
 * A stream that merely ends proves nothing: the programs must end with code 0.
 * @param describeFailure says in a sentence without its full stop how the first one failed
 * @throws Problem when one of them did not
 */
export async function requireSuccess(
  source: Program | Pipeline,
  describeFailure: (ending: ExitResult) => string,
): Promise<void> {
  const ended = await source.ended;
  const { first, second } = "first" in ended ? ended : { first: ended, second: undefined };
  // A dying compressor takes the first along by SIGPIPE: the compressor is the cause then.
  const takenAlong = first.code === SIGPIPE && second !== undefined && second.code !== 0;
  if (first.code !== 0 && !takenAlong) {
    throw new Problem(`${describeFailure(first)}. Nothing was stored.`);
  }
  if (second !== undefined && second.code !== 0) {
    throw new Problem(`${describeExit("zstd", second)}. Nothing was stored; try again.`);
  }
}

/** One sentence about how a program ended, for an error's text. */
export function describeExit(program: string, ending: ExitResult): string {
  const { code } = ending;
  const how =
    code === null || code > 128
      ? `${program} was killed${code === null ? "" : ` (signal ${code - 128})`}`
      : `${program} failed with exit code ${code}`;
  const lines = ending.stderr.split("\n").slice(-4).join("; ");
  return lines === "" ? how : `${how}: ${lines}`;
}

function tail(stream: Readable, onText?: (text: string) => void): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text = (text + chunk).slice(-STDERR_KEPT);
    onText?.(chunk);
  });
  return () => text;
}
