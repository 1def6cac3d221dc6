import type { Entry } from "../../common/contracts/agentEvents.ts";
import { Problem } from "../../common/problem.ts";
import { parseAddress } from "../../storage/address/address.ts";
import { listDatabases, listBackups as listObjects } from "../../storage/catalogue/catalogue.ts";
import { withManifests } from "../../storage/catalogue/withManifests.ts";
import { openStore } from "../../storage/s3/client.ts";

import type { Databases, Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { readerKey } from "../stack/readerKey.ts";
import { listBackups } from "./catalogue.ts";

/**
 * The backups of each database as they lie in the bucket itself, newest first: for while the container does not tell.
 * Read with the key that is never on the host.
 * @param names null: of every database that has a backup there, or, if none has, the session's with nothing
 * @param manifests of so many of the newest the manifest is read too
 * @throws Problem when the stack has made no such key, or the bucket does not answer to it
 */
export async function listInBucket(
  { backup: { database, location, writerKeyId } }: Session,
  stack: StackChoice,
  names: Databases,
  manifests = 0,
): Promise<Map<string, Entry[]>> {
  const key = await readerKey(stack, writerKeyId);
  if (key === undefined) throw new Problem("the stack has made no key for reading it.");
  // Whether plain http is allowed was judged when the bucket was declared.
  const store = openStore(parseAddress({ ...location, allowInsecure: true }), key);
  try {
    const found = new Map<string, Entry[]>();
    for (const name of names ?? (await listDatabases(store))) {
      found.set(name, await withManifests(store, await listObjects(store, name), manifests));
    }
    return found.size > 0 ? found : found.set(database, []);
  } finally {
    store.client.destroy();
  }
}

/** Backups of one database, and who told. */
export interface Listing {
  readonly entries: readonly Entry[];
  readonly seen: "container" | "bucket";
  /** Why it was not the container, in a sentence. */
  readonly reason?: string;
}

/**
 * The backups of the session's database, newest first: by the agent, and where it does not tell (the host is gone, its key
 * may only add), by the bucket itself.
 * @param manifests as for `listInBucket`
 * @throws Problem with both reasons when neither tells
 */
export async function listAnywhere(
  session: Session,
  stack: StackChoice,
  manifests = 0,
): Promise<Listing> {
  try {
    return { entries: await listBackups(session), seen: "container" };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const reason = error.message;
    const { database } = session.backup;
    const stored = await listInBucket(session, stack, [database], manifests).catch((second) => {
      throw second instanceof Problem ? neither(reason, second) : second;
    });
    return { entries: stored.get(database) ?? [], seen: "bucket", reason };
  }
}

/** @param reason why the container does not tell, in a sentence */
export function neither(reason: string, { message }: Problem): Problem {
  return new Problem(`${reason} The bucket could not be asked either: ${message}`);
}
