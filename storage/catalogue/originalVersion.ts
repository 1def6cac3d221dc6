import { createHash } from "node:crypto";
import { BadBackup } from "../../common/problem.ts";
import { openObject } from "../s3/download.ts";
import { explain, isRefused } from "../s3/errors.ts";
import type { ObjectStore, ObjectVersion } from "../s3/objectStore.ts";
import { atVersion } from "../s3/objectVersion.ts";

/** An object as a manifest describes it. */
export interface DescribedObject {
  readonly key: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Where the described bytes were found. */
export interface Original {
  /** Reads them under their key. */
  readonly store: ObjectStore;
  /** When the version was stored, if it is not the newest one; undefined: it is. */
  readonly storedAt?: string;
}

/**
 * Finds the version of an object whose size and SHA-256 are those of its manifest. Where nothing says that the object was
 * overwritten, it is taken as it is, and whoever reads it compares.
 * @param isOverwritten whether something says so
 * @param isBytes size of the newest version
 * @throws Problem when it was overwritten, and the version that was written first cannot be found
 */
export async function findOriginal(
  store: ObjectStore,
  described: DescribedObject,
  { isOverwritten, isBytes }: { readonly isOverwritten: boolean; readonly isBytes: number },
  signal: AbortSignal,
): Promise<Original> {
  const { key, bytes } = described;
  const differs = isBytes !== bytes;
  const all = await versionsOf(store, key);
  if (!differs && !isOverwritten && !(all !== undefined && all.length > 1)) return { store };
  const digest = differs ? undefined : await digestOf(store, key, undefined, signal);
  if (digest === described.sha256) return { store };
  const what = differs
    ? `${key} was overwritten: it has ${isBytes} bytes, its manifest says ${bytes}.`
    : `${key} is damaged: its SHA-256 is ${digest}, the manifest says ${described.sha256}. It was overwritten.`;
  if (all === undefined) {
    throw new BadBackup(
      `${what} Where the bucket keeps versions, restore finds the one that was written first, but this key may not list them: use one with s3:ListBucketVersions and s3:GetObjectVersion, as the reader's key that the stack makes on AWS, or choose another backup from the list. The live database was not touched.`,
      what,
    );
  }
  for (const version of all.filter((each) => each.bytes === bytes)) {
    if ((await digestOf(store, key, version.id, signal)) === described.sha256) {
      return { store: atVersion(store, key, version.id), storedAt: version.storedAt };
    }
  }
  const finding = `${what} None of the ${all.length} versions that the bucket holds of it is the one of its manifest.`;
  throw new BadBackup(
    `${finding} The live database was not touched; choose another backup from the list.`,
    finding,
  );
}

const MOST_VERSIONS = 1_000;

/** Those that were stored first come first, since whoever overwrites comes later. @returns undefined when the key may not list them */
export async function versionsOf(
  store: ObjectStore,
  key: string,
): Promise<ObjectVersion[] | undefined> {
  const all: ObjectVersion[] = [];
  try {
    for await (const version of store.versions(key)) {
      all.push(version);
      // Whoever overwrites can do it any number of times; those that were stored first come last.
      if (all.length > MOST_VERSIONS) all.shift();
    }
  } catch (error) {
    // Services that know no versions refuse as well, or answer NotImplemented.
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (isRefused(error) || status === 501) return undefined;
    throw explain(error, store.address, `list the versions of ${key}`);
  }
  return all.reverse();
}

async function digestOf(
  store: ObjectStore,
  key: string,
  version: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  const seen = version === undefined ? store : atVersion(store, key, version);
  const { stream } = await openObject(seen, key);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest("hex");
}
