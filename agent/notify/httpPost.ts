import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";

const TRIES = 3;
const TRY_MS = 5_000;
/** What a stopped run has left: `docker stop` kills ten seconds after its first signal. */
const TRY_MS_AFTER_STOP = 1_500;

/** A text to be posted. */
export interface PostRequest {
  readonly url: URL;
  readonly body: string;
  /** Media type of the body, `text/plain; charset=utf-8`. */
  readonly type: string;
  /** Statuses besides 2xx that are as good. @default none */
  readonly accepted?: readonly number[];
}

/**
 * Posts a text, three times at most. Redirections are not followed: they might end at an address that was never checked.
 * @param signal once it is aborted, there is one short try; when that happens between two, there is none
 * @throws Error whose message names the host and never the path, which may be a token
 */
export async function httpPost(request: PostRequest, signal: AbortSignal): Promise<void> {
  const stopped = signal.aborted;
  for (let attempt = 1; ; attempt += 1) {
    const timeout = AbortSignal.timeout(stopped ? TRY_MS_AFTER_STOP : TRY_MS);
    const failure = await post(request, stopped ? timeout : AbortSignal.any([timeout, signal]));
    if (failure === undefined) return;
    if (!failure.passing || attempt === TRIES || signal.aborted) {
      throw new Error(`${request.url.hostname} ${failure.reason}`);
    }
    await sleep(attempt * 1000, undefined, { signal }).catch(() => {});
  }
}

interface Failure {
  readonly reason: string;
  /** The same request may succeed a little later. */
  readonly passing: boolean;
}

async function post(
  { url, body, type, accepted = [] }: PostRequest,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    const answer = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": type, "user-agent": "kamal-postgres-backup" },
      redirect: "manual",
      signal,
    });
    await answer.body?.cancel();
    const { ok, status } = answer;
    if (ok || accepted.includes(status)) return undefined;
    const passing = status >= 500 || status === 408 || status === 429;
    return { reason: `answered with status ${status}`, passing };
  } catch (error) {
    return { reason: `could not be reached: ${cause(error)}`, passing: true };
  }
}

/** The message of `fetch` is only that it failed; why is in the cause. */
function cause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  if (error instanceof Problem) return "the run was stopped";
  if (!(error.cause instanceof Error)) return error.message;
  return (error.cause as NodeJS.ErrnoException).code ?? error.cause.message;
}
