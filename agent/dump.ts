import type { AgeSecrets } from "../common/age/stanzas.ts";
import { Problem } from "../common/problem.ts";
import { decodeInto, dumpDecoder } from "./archive/decode.ts";
import { digestMismatch, openDownload } from "./archive/downloadStream.ts";
import { dumpFailure, startSqlDump, WITHOUT_OWNERS } from "./backup/pgDump.ts";
import { watchServer } from "./postgres/connection.ts";
import { chooseFor } from "./restore/choice.ts";
import { type AgentContext, untilStopped } from "./runtime/context.ts";
import { errorMessage } from "./runtime/errorMessage.ts";
import { describeExit } from "./streams/process.ts";

/** A backup that is written as SQL. */
export interface StoredDump {
  /** `latest`, or the stamp of a backup. */
  readonly wanted: string;
  /** Takes a backup by its time although it may be somebody else's, as the list says. */
  readonly acceptOrigin: boolean;
  readonly secrets: AgeSecrets;
}

/** What is dumped: a backup, or without one the database as it is. */
export type DumpRequest = { readonly noOwner: boolean } & (
  | StoredDump
  | { readonly wanted?: never }
);

/**
 * Writes a database as SQL to this process's standard output, for psql or for the start of a new database server. What
 * reads it gets it as fast as it takes it, and nothing is kept here, so its size does not matter.
 * @throws Problem when it is not whole, with the sentence that what was written must not be loaded
 */
export async function dump(context: AgentContext, request: DumpRequest): Promise<void> {
  const { settings, report } = context;
  const { database } = settings.postgres;
  const started = performance.now();
  const from =
    request.wanted === undefined
      ? await dumpLive(context, request.noOwner)
      : await dumpStored(context, request, request.noOwner);
  const elapsedMs = Math.round(performance.now() - started);
  const what = from === null ? database : `${database} of ${from}Z`;
  report.line(`Dumped ${what} as SQL in ${(elapsedMs / 1000).toFixed(1)} s.`);
  report.event({ event: "dumped", database, from, elapsedMs });
}

async function dumpLive({ settings, signal }: AgentContext, noOwner: boolean): Promise<null> {
  const { postgres } = settings;
  const server = watchServer(postgres);
  const program = startSqlDump(postgres, noOwner);
  const stopping = AbortSignal.any([signal, server.signal]);
  const stop = () => program.kill();
  stopping.addEventListener("abort", stop, { once: true });
  try {
    const ending = await program.ended;
    stopping.throwIfAborted();
    if (ending.code !== 0) throw new Problem(`${dumpFailure(ending)}.`);
    return null;
  } catch (error) {
    throw notWhole(error, signal);
  } finally {
    stopping.removeEventListener("abort", stop);
    server.stop();
  }
}

async function dumpStored(
  context: AgentContext,
  { wanted, acceptOrigin, secrets }: StoredDump,
  noOwner: boolean,
): Promise<string> {
  const choosing = chooseFor(context, { wanted, acceptOrigin });
  const { entry, manifest, store } = await untilStopped(context.signal, choosing);
  const decoder = await untilStopped(context.signal, dumpDecoder(store, entry, manifest, secrets));
  const download = await openDownload({ ...context, store }, entry, `dump of ${entry.key}`);
  try {
    const { source, signal, onBytes } = download;
    const args = ["--file=-", ...(noOwner ? WITHOUT_OWNERS : [])];
    const read = await decodeInto(source, decoder, 'pg_restore "$@"', {
      args,
      env: process.env,
      signal,
      onBytes,
      stdout: "inherit",
    });
    const { whole, first, second } = read;
    if (whole && manifest !== null) {
      const damage = digestMismatch(manifest, read);
      if (damage !== undefined) throw new Problem(`${entry.key} is damaged: ${damage}.`);
    }
    if (second.code !== 0) throw new Problem(`${describeExit("pg_restore", second)}.`);
    if (first.code !== 0 || !whole) {
      throw new Problem(`${describeExit(decoder.program, first)}.`);
    }
    return entry.stamp;
  } catch (error) {
    throw notWhole(error, context.signal);
  } finally {
    download.close();
  }
}

/** What the reader has got by then looks like a dump, and only lacks its end. */
function notWhole(error: unknown, stop: AbortSignal): Problem {
  const sentence = "What was written is not the whole database: do not load it.";
  // That it was stopped, and why, stands in front already.
  const text = stop.aborted ? sentence : `${errorMessage(error)} ${sentence}`;
  return new Problem(text, { cause: error });
}
