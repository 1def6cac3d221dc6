import { type DrillRecord, drillRecordSchema } from "../../common/contracts/drillRecord.ts";
import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import { readStart } from "../s3/download.ts";
import { explain, isMissing } from "../s3/errors.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import { putNew } from "../upload/conditionalPut.ts";
import { CLOCK_TOLERANCE_MS } from "./countingBackups.ts";
import { drillKey, drillStem, parseDrillKey } from "./objectKeys.ts";
import { forEachAtOnce } from "./readManifest.ts";
import { isBelieved, parseRecord, type ReadRecord, recordText } from "./signedRecord.ts";

/** Bytes; far longer than any record, a long list of checks included. */
export const LARGEST_DRILL_RECORD = 256 * 1024;
/** Keys that are looked at: a drill every hour for two years has fewer, and whoever may merely write can add any number. */
const MOST_KEYS = 20_000;

/** A record as it lies in the bucket. */
export interface StoredDrill extends ReadRecord<DrillRecord> {
  readonly key: string;
}

export interface DrillSearch {
  /** Only drills of this database. @default of every database */
  readonly database?: string;
  /** By which records are signed. @default none */
  readonly keys?: readonly SigningKey[];
  /** So many of each database are read, the newest. @default 20 */
  readonly most?: number;
}

/**
 * The records of drills, newest first. What is no record of this version is left out, and so is one whose name
 * claims a later time than that of its storing: by such names somebody could push the true ones out of the list.
 * @throws Problem when the key may not list or read, or there are more records than are looked at
 */
export async function readDrillRecords(
  store: ObjectStore,
  { database, keys = [], most = 20 }: DrillSearch = {},
): Promise<StoredDrill[]> {
  const drills: StoredDrill[] = [];
  await forEachAtOnce(await newestKeys(store, { database, most }), async (key) => {
    const record = await readOne(store, key, keys);
    if (record !== undefined) drills.push(record);
  });
  return drills.toSorted((a, b) => (a.record.startedAt < b.record.startedAt ? 1 : -1));
}

/** The newest records of one database that are believed, newest first. @throws Problem as `readDrillRecords` */
export async function countingDrills(
  store: ObjectStore,
  database: string,
  keys: readonly SigningKey[],
): Promise<DrillRecord[]> {
  const found = await readDrillRecords(store, { database, keys });
  return found.filter(isBelieved).map(({ record }) => record);
}

/**
 * Stores the record of a drill, signed.
 * @param keys the first one signs @default it is not signed
 * @returns its key
 * @throws Problem when it is not stored, or that is not known
 */
export async function storeDrillRecord(
  store: ObjectStore,
  record: DrillRecord,
  keys: readonly SigningKey[],
): Promise<string> {
  const key = drillKey(store.address.prefix, record);
  await putNew(store, key, recordText(record, keys, "drill record"), "application/json");
  return key;
}

async function newestKeys(
  store: ObjectStore,
  { database, most }: { readonly database: string | undefined; readonly most: number },
): Promise<string[]> {
  const { address } = store;
  const found = new Map<string, string[]>();
  let looked = 0;
  try {
    // They are listed in the order of their times: only the last ones of each database stay in memory.
    for await (const { key, storedAt } of store.list(drillStem(address.prefix))) {
      looked += 1;
      if (looked > MOST_KEYS) throw tooMany(store);
      const parsed = parseDrillKey(address.prefix, key);
      if (parsed === undefined || (database !== undefined && parsed.database !== database))
        continue;
      if (Date.parse(`${parsed.stamp}Z`) > Date.parse(storedAt) + CLOCK_TOLERANCE_MS) continue;
      const ofDatabase = found.get(parsed.database) ?? [];
      ofDatabase.push(key);
      if (ofDatabase.length > most) ofDatabase.shift();
      found.set(parsed.database, ofDatabase);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw explain(error, address, "list the records of drills");
  }
  return [...found.values()].flat();
}

function tooMany({ address: { bucket, prefix } }: ObjectStore): Problem {
  return new Problem(
    `more than ${MOST_KEYS} objects lie in s3://${bucket}/${drillStem(prefix)}, and so many records of drills are not looked at: somebody has put them there, or nothing expires. Take them away with the bucket's own tools.`,
  );
}

async function readOne(
  store: ObjectStore,
  key: string,
  keys: readonly SigningKey[],
): Promise<StoredDrill | undefined> {
  let text: string;
  try {
    text = String(await readStart(store, key, LARGEST_DRILL_RECORD));
  } catch (error) {
    // It has expired since it was listed.
    if (error instanceof Problem && isMissing(error.cause)) return undefined;
    throw error;
  }
  const read = parseRecord(text, drillRecordSchema, keys, "drill record");
  // One record under two names would count twice, or as a later one.
  return read && isKeyOf(store, key, read.record) ? { key, ...read } : undefined;
}

function isKeyOf({ address }: ObjectStore, key: string, record: DrillRecord): boolean {
  try {
    return drillKey(address.prefix, record) === key;
  } catch {
    // A name with half of a character, which no database has, makes no key.
    return false;
  }
}
