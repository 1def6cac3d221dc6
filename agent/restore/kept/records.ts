import type { SigningKey } from "../../../common/contracts/manifestMac.ts";
import type { RestoreRecord } from "../../../common/contracts/restoreRecord.ts";
import { messageOf } from "../../../common/problem.ts";
import { recordKey } from "../../../storage/catalogue/objectKeys.ts";
import { readRestoreRecords } from "../../../storage/catalogue/restoreRecords.ts";
import { isBelieved, recordText } from "../../../storage/catalogue/signedRecord.ts";
import { explain } from "../../../storage/s3/errors.ts";
import type { ObjectStore } from "../../../storage/s3/objectStore.ts";
import { putNew } from "../../../storage/upload/conditionalPut.ts";
import { signingKeysOf } from "../../archive/trust.ts";
import { NotConfirmed } from "../../runtime/confirm.ts";
import { type AgentContext, untilStopped } from "../../runtime/context.ts";
import type { AgentEvent } from "../../runtime/reporter.ts";

/** So many are read at most. */
const MOST_READ = 50;

/**
 * Runs a restore or an undo, and stores what became of it in the bucket: when, from which backup, how long it took. The
 * bucket outlives the container, and a key that may only add can store it. It also stands in the container's log.
 * @param asked which backup or database was asked for
 * @param describe the failure in the sentence that the operator gets
 */
export async function recorded(
  context: AgentContext,
  { action, database, asked }: Pick<RestoreRecord, "action" | "database"> & { asked: string },
  describe: (error: unknown) => string,
  work: (context: AgentContext) => Promise<void>,
): Promise<void> {
  const { report, signal } = context;
  const started = new Date();
  let done: Extract<AgentEvent, { event: "restored" | "undone" }> | undefined;
  const event = (event: AgentEvent) => {
    if (event.event === "restored" || event.event === "undone") done = event;
    report.event(event);
  };
  const store = async (result: RestoreRecord["result"], error: string | null) => {
    await storeRecord(context, {
      version: 1,
      action,
      database: done?.database ?? database,
      result,
      from: done?.from ?? asked,
      previous: done?.previous ?? null,
      ...(done?.event === "restored" && { server: done.server }),
      error,
      startedAt: started.toISOString(),
      elapsedMs: Date.now() - started.getTime(),
    });
  };
  try {
    await work({ ...context, report: { ...report, event } });
  } catch (error) {
    if (error instanceof NotConfirmed) throw error;
    await store(signal.aborted ? "stopped" : "failed", describe(error));
    throw error;
  }
  // A dry run has done nothing.
  if (done !== undefined) await store("done", null);
}

/** One that cannot be stored is a warning: the restore itself is what matters. */
async function storeRecord(
  { store, settings, report, signal }: AgentContext,
  record: RestoreRecord,
): Promise<void> {
  const key = recordKey(store.address.prefix, record);
  try {
    const text = recordText(record, signingKeysOf(settings), "restore record");
    const storing = putNew(store, key, text, "application/json");
    // Of a run that was stopped it is the last word; one that is done does not wait for it when it is stopped now.
    await (signal.aborted ? storing : untilStopped(signal, storing));
  } catch (error) {
    report.warn(
      `the record of this ${record.action} could not be stored in the bucket: ${messageOf(error)}`,
    );
  }
}

/**
 * The latest records, newest first. What is no record of this version is left out.
 * @param keys with one of which a record has to be signed @default none: every record counts
 * @throws the service's error when the key may not list or read
 */
export async function readRecords(
  store: ObjectStore,
  most: number = MOST_READ,
  keys: readonly SigningKey[] = [],
): Promise<RestoreRecord[]> {
  const records = await readRestoreRecords(store, most, keys);
  return records.filter(isBelieved).map(({ record }) => record);
}

/**
 * Whether a restore has filled a database on this server since a backup of another server was taken. Its data is that of the
 * earlier server then.
 * @param server system identifier
 * @param keys with which the record has to be signed, where there are some: whoever may merely write could make one
 * @throws the service's error when the key may not list or read
 */
export async function wasRestoredHere(
  store: ObjectStore,
  {
    database,
    server,
    since,
    keys,
  }: {
    readonly database: string;
    readonly server: string;
    readonly since: string;
    readonly keys: readonly SigningKey[];
  },
): Promise<boolean> {
  const records = await readRecords(store, MOST_READ, keys);
  return records.some(
    (record) =>
      record.action === "restore" &&
      record.result === "done" &&
      record.database === database &&
      record.server === server &&
      Date.parse(record.startedAt) > Date.parse(since),
  );
}

/** Reports the records, newest first. */
export async function printHistory({ store, report }: AgentContext): Promise<void> {
  let records: RestoreRecord[];
  try {
    records = await readRecords(store);
  } catch (error) {
    throw explain(error, store.address, "read the records of restores");
  }
  report.event({ event: "history", records });
  if (records.length === 0) report.line("Nothing was restored yet, or the records have expired.");
  for (const { startedAt, action, database, from, result, elapsedMs, error } of records) {
    const time = startedAt.slice(0, 19).replace("T", " ");
    const why = error === null ? "" : `: ${error}`;
    report.line(
      `${time}  ${action} of ${database} from ${from}: ${result} after ${(elapsedMs / 1000).toFixed(1)} s${why}`,
    );
  }
}
