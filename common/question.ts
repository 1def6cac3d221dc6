import { createInterface } from "node:readline";
import { Writable } from "node:stream";

/** What was typed; `interrupted`: Ctrl-C, or the signal; `ended`: Ctrl-D, or a terminal that is gone. */
export type Answer = { readonly typed: string } | "interrupted" | "ended";

/** Shows nothing of what is typed. */
function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

/**
 * Asks somebody at a terminal for one line.
 * @param signal ends the question
 * @param options.hidden shows nothing of what is typed @default false
 */
export async function ask(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  question: string,
  signal?: AbortSignal,
  { hidden = false }: { readonly hidden?: boolean } = {},
): Promise<Answer> {
  const lines = createInterface({ input, output: hidden ? nowhere() : output, terminal: true });
  // Only now does the terminal itself show nothing of what is typed.
  if (hidden) output.write(question);
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const interrupt = () => resolve("interrupted");
  lines.once("SIGINT", interrupt).once("close", () => resolve("ended"));
  signal?.addEventListener("abort", interrupt);
  if (signal?.aborted === true) interrupt();
  lines.question(question, (typed) => resolve({ typed }));
  try {
    const answer = await promise;
    // What comes next stands in a line of its own.
    if (typeof answer === "string" || hidden) output.write("\n");
    return answer;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    lines.close();
  }
}
