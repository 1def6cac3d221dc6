import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import { type RestoreRecord, restoreRecordSchema } from "../../common/contracts/restoreRecord.ts";
import { readStart } from "../s3/download.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import { recordStem } from "./objectKeys.ts";
import { forEachAtOnce } from "./readManifest.ts";
import { parseRecord, type ReadRecord } from "./signedRecord.ts";

/** Far longer than any record. */
const LONGEST_BYTES = 16 * 1024;

/** The record of a restore or an undo as it lies in the bucket. */
export interface StoredRestore extends ReadRecord<RestoreRecord> {
  readonly key: string;
}

/**
 * The latest records of restores and undos, newest first. What is no record of this version is left out.
 * @param most so many are read
 * @param keys by which records are signed
 * @throws the service's error when the key may not list or read
 */
export async function readRestoreRecords(
  store: ObjectStore,
  most: number,
  keys: readonly SigningKey[],
): Promise<StoredRestore[]> {
  const found: string[] = [];
  // They are listed in the order of their times: only the last ones stay in memory, however many there are.
  for await (const { key } of store.list(recordStem(store.address.prefix))) {
    found.push(key);
    if (found.length > most) found.shift();
  }
  const records: StoredRestore[] = [];
  await forEachAtOnce(found, async (key) => {
    const text = String(await readStart(store, key, LONGEST_BYTES));
    const read = parseRecord(text, restoreRecordSchema, keys, "restore record");
    if (read !== undefined) records.push({ key, ...read });
  });
  return records.toSorted((a, b) => (a.key < b.key ? 1 : -1));
}
