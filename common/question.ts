import { createInterface } from "node:readline";

/** What was typed; `interrupted`: Ctrl-C, or the signal; `ended`: Ctrl-D, or a terminal that is gone. */
export type Answer = { readonly typed: string } | "interrupted" | "ended";

/** Asks somebody at a terminal for one line. */
export async function ask(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  question: string,
  signal?: AbortSignal,
): Promise<Answer> {
  const lines = createInterface({ input, output, terminal: true });
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const interrupt = () => resolve("interrupted");
  lines.once("SIGINT", interrupt).once("close", () => resolve("ended"));
  signal?.addEventListener("abort", interrupt);
  if (signal?.aborted === true) interrupt();
  lines.question(question, (typed) => resolve({ typed }));
  try {
    const answer = await promise;
    // What comes next stands in a line of its own.
    if (typeof answer === "string") output.write("\n");
    return answer;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    lines.close();
  }
}
