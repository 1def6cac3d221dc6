import type { AgeSecrets } from "../../common/age/stanzas.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { listBackups } from "../../storage/catalogue/catalogue.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import { judgeMarks } from "../../storage/catalogue/marks.ts";
import { findOriginal } from "../../storage/catalogue/originalVersion.ts";
import { readOriginalManifest, readSignedOriginal } from "../../storage/catalogue/readManifest.ts";
import { chooseBackup, chooseBeforeDeploy } from "../../storage/catalogue/selectBackup.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { requireOrigin, warnOfChoice, warnOfOrigin } from "../archive/chosenBackup.ts";
import { trustOf } from "../archive/trust.ts";
import type { AgentContext } from "../runtime/context.ts";

/** What a restore was asked for. */
export interface RestoreRequest {
  /** `latest` or the stamp of a backup, as `list` shows it. */
  readonly wanted: string;
  /** With `latest`: the latest that was taken at this time or before, ISO 8601; without a zone it is UTC. */
  readonly notAfter?: string;
  /** With `latest`: the one before the deploy of this revision, or of the one that begins so. */
  readonly beforeDeploy?: string;
  /** Name of a new database to restore into, beside the live one; absent: the live one is replaced. */
  readonly into?: string;
  /** Makes the roles of the backup that the server lacks. @default false */
  readonly globals?: boolean;
  /** With `globals`: the roles also get the attributes and memberships that reach beyond a database. @default false */
  readonly allowPrivilegedRoles?: boolean;
  /** Folder for the unpacked archive, so that it is restored by several connections at once; absent: streamed. */
  readonly scratch?: string;
  /** Connections that load at once, where the backup has an index or is unpacked. @default one for each core, as far as memory goes */
  readonly jobs?: number;
  /** Goes on after an error and lists each statement that fails; needs `into` or `allowIncomplete`. @default false */
  readonly keepGoing?: boolean;
  /** Lets less than the whole database take the live one's place. @default false */
  readonly allowIncomplete?: boolean;
  /** Everything belongs to the connection's role, or to `role`; grants are left out. @default false */
  readonly noOwner?: boolean;
  /** The role that everything will belong to; implies `noOwner`. */
  readonly role?: string;
  /** Only what lies in these schemas. */
  readonly schema?: readonly string[];
  /** Only these tables, `orders` or `public.orders`, with `*` for any characters, and what they need; needs `into`. */
  readonly table?: readonly string[];
  /** Not these tables, `events` or `audit.log`, with `*` for any characters. */
  readonly excludeTable?: readonly string[];
  /** No rows: only what is defined. Of a drill; it never takes a live database's place. @default false */
  readonly schemaOnly?: boolean;
  /** Takes a backup by its time although it may be somebody else's, as the list says. @default false */
  readonly acceptOrigin?: boolean;
  /** Takes the server's own encoding and locale instead of the backup's. @default false */
  readonly serverLocale?: boolean;
  /** Longest time that the restore may take. @default 24, or one for each 10 GB of the database */
  readonly maxHours?: number;
  /** What may open an encrypted backup. */
  readonly secrets: AgeSecrets;
}

/** The backup that a restore takes. */
export interface Choice {
  readonly entry: CatalogueEntry;
  /** Null for the old image's objects. */
  readonly manifest: Manifest | null;
  /** Reads the backup's objects as they were written, also where they were overwritten since. */
  readonly store: ObjectStore;
}

function overwritten(key: string, storedAt: string): string {
  return `${key} was overwritten. The version that was written first, at ${storedAt.slice(0, 19)}Z, is restored.`;
}

/**
 * Finds the backup that is asked for.
 * @throws Problem when there is none
 */
export async function chooseFor(
  { settings, store, report, signal }: AgentContext,
  request: Pick<RestoreRequest, "wanted" | "notAfter" | "beforeDeploy" | "acceptOrigin">,
): Promise<Choice> {
  const { database } = settings.postgres;
  const { bucket, prefix } = store.address;
  const location = `s3://${bucket}/${prefix}`;
  const trust = trustOf(settings);
  const { notAfter, beforeDeploy, acceptOrigin } = request;
  if (beforeDeploy !== undefined && (request.wanted !== "latest" || notAfter !== undefined)) {
    throw new Problem("--before-deploy chooses the backup by itself. Leave the time out.");
  }
  const wanted =
    beforeDeploy === undefined
      ? request.wanted
      : chooseBeforeDeploy(
          judgeMarks(await listBackups(store, database), trust.keys),
          beforeDeploy,
          database,
          location,
        ).stamp;
  const also = wanted.replace(/Z$/, "");
  const entries = await listJudged(store, database, trust, { also });
  const listed = chooseBackup(entries, wanted, database, location, store.address.names, notAfter);
  const signed = await readSignedOriginal(store, listed, trust.keys);
  const entry = signed === undefined ? listed : { ...listed, originProblem: null };
  warnOfChoice(report, entries, entry, wanted);
  if (signed === undefined) requireOrigin(entry, acceptOrigin === true);
  if (entry.kind === "legacy") {
    await warnOfOrigin({ store, report }, { entries, entry, manifest: null, trust });
    return { entry, manifest: null, store };
  }
  const read = signed ?? (await readOriginalManifest(store, entry, trust.keys));
  const { manifest, signature, storedAt } = read;
  await warnOfOrigin({ store, report }, { entries, entry, manifest, signature, trust });
  if (storedAt !== undefined) report.warn(overwritten(entry.manifestKey ?? "", storedAt));
  const dump = await findOriginal(
    store,
    manifest.object,
    { isOverwritten: entry.overwritten === true, isBytes: entry.bytes },
    signal,
  );
  if (dump.storedAt !== undefined) report.warn(overwritten(entry.key, dump.storedAt));
  return { entry: { ...entry, bytes: manifest.object.bytes }, manifest, store: dump.store };
}
