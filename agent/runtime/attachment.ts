import type { Readable } from "node:stream";
import { Problem } from "../../common/problem.ts";
import type { Stop } from "./signals.ts";

/** Exit code of a run whose operator is gone: that of a closed terminal. */
const OPERATOR_GONE = 129;

const TICK_MS = 5_000;
/** As long as the operator's ssh waits for a host that does not answer (common/ssh/command.ts). */
const SILENT_TICKS = 12;

/** Some hundred keys; whoever sends more sends something else. */
const LONGEST_INPUT = 64 * 1024;

/** The operator at the other end of standard input. */
export interface Attachment {
  /** The lines up to the first empty one: a secret, or nothing. Rejects when the input ends before it. */
  readonly head: Promise<string>;
  /** The next line that is not empty and comes from now on. Rejects when the input ends before it. */
  answer(): Promise<string>;
  /** Called at the end: an open input would keep the process alive. */
  close(): void;
}

/**
 * Ties a run to whoever started it. `docker exec` without a terminal passes no signal on, but it closes standard input when
 * its client ends, for whatever reason: Ctrl-C, a closed terminal, a lost SSH connection that the host has noticed. One that
 * it has not noticed, as of a laptop that was closed, is known by silence: the operator's program sends an empty line every
 * few seconds. The first lines may be a secret, ended by an empty one.
 * @param stop is requested when the input ends, or is silent for a minute
 */
export function attachTo(input: Readable, stop: Pick<Stop, "request">): Attachment {
  const head = Promise.withResolvers<string>();
  // Most commands want no secret.
  head.promise.catch(() => {});
  let asked: PromiseWithResolvers<string> | undefined;
  let text: string | undefined = "";
  let silentTicks = 0;
  const gone = (how: string) => {
    const why = `stopped because ${how}`;
    head.reject(new Problem(`${why}.`));
    asked?.reject(new Problem(`${why}.`));
    stop.request(why, OPERATOR_GONE);
  };
  // Ticks, not the clock: a process that was frozen finds what came meanwhile at its next one.
  const timer = setInterval(() => {
    silentTicks += 1;
    if (silentTicks >= SILENT_TICKS) {
      gone(
        `nothing was heard for ${(TICK_MS * SILENT_TICKS) / 1000} s from the command that started it`,
      );
    }
  }, TICK_MS).unref();
  input.on("data", (chunk: Buffer | string) => {
    silentTicks = 0;
    if (text === undefined) {
      // Empty lines are beats. An answer is far shorter than what arrives as one piece.
      const line = String(chunk).trim();
      if (line !== "") asked?.resolve(line);
      return;
    }
    text += String(chunk);
    const end = text.startsWith("\n") ? 0 : text.indexOf("\n\n") + 1;
    if (end > 0 || text.startsWith("\n")) {
      head.resolve(text.slice(0, end));
      text = undefined;
    } else if (text.length > LONGEST_INPUT) {
      head.reject(new Problem("--identity-stdin: standard input is too long to be a secret."));
      text = undefined;
    }
  });
  const ended = () => gone("the command that started it was interrupted or lost its connection");
  input.on("end", ended).on("error", ended);
  return {
    head: head.promise,
    answer: () => {
      asked = Promise.withResolvers<string>();
      // It may be told of the end before anybody waits for it.
      asked.promise.catch(() => {});
      return asked.promise;
    },
    close: () => {
      clearInterval(timer);
      input.off("end", ended);
      input.destroy();
    },
  };
}
