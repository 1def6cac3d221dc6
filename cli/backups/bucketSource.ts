import type { Entry } from "../../common/contracts/agentEvents.ts";
import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import { Problem } from "../../common/problem.ts";
import { type AddressNames, parseAddress } from "../../storage/address/address.ts";
import { listDatabases } from "../../storage/catalogue/catalogue.ts";
import { countingDrills } from "../../storage/catalogue/drillRecords.ts";
import { listJudged, NO_TRUST, type Trust } from "../../storage/catalogue/judgeOrigin.ts";
import { withManifests } from "../../storage/catalogue/readManifest.ts";
import { openStore, type Store } from "../../storage/s3/client.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";
import type { Databases, Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { readerKey, signingKeys, writerKey } from "../stack/stateSecrets.ts";

/** What the agent, or the bucket, lists of one database. */
export interface Listed {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** Why the last run of the container failed; absent: it did not, or nobody knows. */
  readonly lastFailure?: string;
  /** Drills of the database that count, newest first; absent: not known. */
  readonly drills?: readonly DrillRecord[];
}

/** What messages call the parts of the bucket: the reader knows them from the stack's outputs, the key from its state. */
const namesFor = (whose: "reader" | "writer"): AddressNames => ({
  endpoint: "the bucket's endpoint",
  region: "the bucket's region",
  bucket: "the bucket's name",
  prefix: "the bucket's prefix",
  allowInsecure: "allowInsecure",
  accessKeyId: `the ${whose}'s access key in the stack's state`,
  secretAccessKey: `the ${whose}'s secret key in the stack's state`,
  regionRemedy:
    "Give the bucket that region in the program or the stack's configuration, then run pulumi up",
});

/** What messages call them where the reader's key is tried. */
export const READER_NAMES = namesFor("reader");

/**
 * The backups of each database as they lie in the bucket, newest first, read with the key that is never on the host, and
 * judged by those that sign.
 * @param databases null: every one that has a backup there, or, if none has, the session's with nothing
 * @param manifests number of the newest backups whose manifests are read too
 * @throws Problem when the stack has made no such key, or the bucket does not answer to it
 */
export async function listInBucket(
  session: Session,
  stack: StackChoice,
  databases: Databases,
  manifests: number,
): Promise<Map<string, Listed>> {
  const options = { enough: Math.max(manifests, 1) };
  return withReader(session, stack, async (store) => {
    const trust = await bucketTrust(session, stack);
    const found = new Map<string, Listed>();
    for (const database of databases ?? (await listDatabases(store))) {
      const judged = await listJudged(store, database, trust, options);
      const entries = await withManifests(store, judged, manifests);
      for (const { notice } of entries) if (notice) session.screen.warn(notice);
      const drills = await countingDrills(store, database, trust.keys);
      found.set(database, { entries, drills });
    }
    return found.size > 0 ? found : found.set(session.backup.database, { entries: [] });
  });
}

/** By what the backups and records in the bucket are judged: the stack's own signing keys, and whether it encrypts. */
export async function bucketTrust(
  { backup }: Pick<Session, "backup">,
  stack: StackChoice,
): Promise<Trust> {
  const signing = await signingKeys(stack, backup.name, backup.container);
  return { ...NO_TRUST, ...signing, encrypts: backup.encrypts ?? false };
}

/**
 * Names of the databases that have a backup in the bucket.
 * @throws Problem as `listInBucket`
 */
export function databasesInBucket(session: Session, stack: StackChoice): Promise<string[]> {
  return withReader(session, stack, listDatabases);
}

/**
 * Reads the session's bucket with the key that is never on the host.
 * @throws Problem when the stack has made no such key, or as `read`
 */
export async function withReader<Result>(
  { backup }: Pick<Session, "backup">,
  stack: StackChoice,
  read: (store: Store, key: Credentials) => Promise<Result>,
): Promise<Result> {
  const key = await readerKey(stack, backup);
  if ("none" in key) throw new Problem(`${key.none}.`);
  return withStore(backup, key, "reader", (store) => read(store, key));
}

/**
 * Adds to the session's bucket with the container's own key.
 * @throws Problem when the stack's state holds none, or as `write`
 */
export async function withWriter<Result>(
  { backup }: Pick<Session, "backup">,
  stack: StackChoice,
  write: (store: Store) => Promise<Result>,
): Promise<Result> {
  const key = await writerKey(stack, backup);
  if (key === undefined) {
    throw new Problem("the stack's state holds no key that may add to the bucket.");
  }
  return withStore(backup, key, "writer", write);
}

async function withStore<Result>(
  { location }: Session["backup"],
  key: Credentials,
  whose: "reader" | "writer",
  use: (store: Store) => Promise<Result>,
): Promise<Result> {
  // Whether plain http is allowed was checked when the bucket was declared.
  const store = openStore(parseAddress({ ...location, allowInsecure: true }, namesFor(whose)), key);
  try {
    return await use(store);
  } finally {
    store.client.destroy();
  }
}
