import type { OriginProblem, Signature, SigningKey } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import { isRefused } from "../s3/errors.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import { listBackups } from "./catalogue.ts";
import { type CatalogueEntry, isEncrypted, latestFirst } from "./catalogueEntry.ts";
import { countingBackups, objectionTo } from "./countingBackups.ts";
import { judgeMarks } from "./marks.ts";
import { forEachAtOnce, type OnUnread, readSigned } from "./readManifest.ts";

/** What is known of who may have written backups. */
export interface Trust {
  /** By which manifests are signed; none: their origin cannot be checked. */
  readonly keys: readonly SigningKey[];
  /**
   * Since when every backup is signed, ISO 8601: one that was stored later, by the service's own clock, and is not signed
   * never counts. Absent: it counts until a signed one is there, as one that is older does.
   */
  readonly since?: string | undefined;
  /** Whether the settings encrypt, so that a backup in clear is not one of theirs. */
  readonly encrypts: boolean;
}

/** Nothing is known. */
export const NO_TRUST: Trust = { keys: [], encrypts: false };

export interface JudgeOptions {
  /** So many good signed backups are looked for, from the latest on; older ones than those are not judged. @default 1 */
  readonly enough?: number;
  /** Stamp of one that is judged in any case, however old. */
  readonly also?: string;
  /** For a backup whose manifest is needed and cannot be read for now; it is left out. @default that is a failure */
  readonly onUnread?: OnUnread;
}

/**
 * Lists the backups of one database as `listBackups` does, and says of each that may be somebody else's why. With keys, of
 * the marks beside them those that are signed count.
 * @throws Problem as `listBackups`, or when a manifest that is needed cannot be read for now
 */
export async function listJudged(
  store: ObjectStore,
  database: string,
  trust: Trust,
  options: JudgeOptions = {},
): Promise<CatalogueEntry[]> {
  const entries = await listBackups(store, database, options.onUnread);
  return judgeOrigin(store, judgeMarks(entries, trust.keys), trust, options);
}

/** After so many that the service does not give, none is asked for any more: each takes several tries. */
const MOST_UNREAD = 3;

/** So many manifests are read together, where the latest one does not tell enough. */
const BATCH = 6;

/**
 * Judges the origin of backups. With keys: while one good backup is signed, one that is not may be somebody else's; one that
 * was stored since signing began may be in any case, so that nobody gains by replacing every signed manifest. So may one in
 * clear where the settings encrypt, and one that has the bytes of another and was stored later; with keys that is only
 * named, since a signature says more.
 * @param entries of one database
 * @returns the entries, judged. With `onUnread` without those that cannot be judged for now, and none after three of them
 * @throws Problem when a manifest that is needed cannot be read for now, unless `onUnread` is given
 */
export async function judgeOrigin(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
  trust: Trust,
  { onUnread, ...options }: JudgeOptions = {},
): Promise<CatalogueEntry[]> {
  const reader = new Reader(store, trust.keys);
  let left = [...entries];
  for (let unread = 0; unread < MOST_UNREAD; unread += 1) {
    try {
      return await judgeAll(reader, left, trust, options);
    } catch (error) {
      if (!(error instanceof UnreadManifest)) throw error;
      const { entry, cause } = error;
      if (onUnread === undefined || !(cause instanceof Problem)) throw cause;
      onUnread(entry, cause.message);
      left = left.filter(({ key }) => key !== entry.key);
    }
  }
  return [];
}

async function judgeAll(
  reader: Reader,
  entries: readonly CatalogueEntry[],
  trust: Trust,
  { enough = 1, also }: Omit<JudgeOptions, "onUnread">,
): Promise<CatalogueEntry[]> {
  const listed = entries.toSorted(latestFirst).map((entry): CatalogueEntry => {
    const inClear = trust.encrypts && entry.kind === "ours" && !isEncrypted(entry);
    return inClear ? { ...entry, originProblem: "in clear" } : entry;
  });
  if (trust.keys.length === 0) return withoutReplays(reader, listed);
  const candidates: CatalogueEntry[] = [];
  for (const entry of listed) candidates.push(await withSignedSuspicion(reader, entry));
  const problems = new Map<CatalogueEntry, OriginProblem>();
  const waiting = candidates.filter(
    (entry) => entry.kind === "ours" && objectionTo(entry) === null,
  );
  let signed = 0;
  const judge = async (entry: CatalogueEntry) => {
    const { originProblem } = await reader.read(entry);
    if (originProblem === undefined) signed += 1;
    else problems.set(entry, originProblem);
  };
  for (let batch = enough; signed < enough && waiting.length > 0; batch = BATCH) {
    await forEachAtOnce(waiting.splice(0, batch), judge);
  }
  for (const entry of candidates) {
    if (entry.kind === "legacy") problems.set(entry, "unsigned");
    if (entry.stamp !== also || entry.kind !== "ours" || entry.manifestKey === null) continue;
    const { originProblem } = await reader.read(entry);
    if (originProblem !== undefined) problems.set(entry, originProblem);
  }
  for (const entry of problems.keys()) {
    if (signed === 0 && !isStoredSince(entry, trust.since)) problems.delete(entry);
  }
  const judged = candidates.map((entry): CatalogueEntry => {
    const originProblem = problems.get(entry) ?? entry.originProblem;
    return originProblem === undefined ? entry : { ...entry, originProblem };
  });
  if (signed === 0) return withoutReplays(reader, judged);
  const named: CatalogueEntry[] = [];
  for (const entry of judged) {
    const original =
      problems.size > 0 && entry.originProblem ? await reader.original(entry, judged) : undefined;
    named.push(
      original === undefined ? entry : { ...entry, notice: replayNotice(entry, original) },
    );
  }
  return named;
}

/** Whether its dump or its manifest was. */
function isStoredSince(
  { storedAt, manifestStoredAt = storedAt }: CatalogueEntry,
  since: string | undefined,
): boolean {
  if (since === undefined) return false;
  return Math.max(Date.parse(storedAt), Date.parse(manifestStoredAt)) > Date.parse(since);
}

/** As long as the latest one that counts has the bytes of one that was stored before it, the next one is asked. */
async function withoutReplays(
  reader: Reader,
  entries: readonly CatalogueEntry[],
): Promise<CatalogueEntry[]> {
  let judged = [...entries];
  for (;;) {
    const [latest] = countingBackups(judged);
    const original = latest && (await reader.original(latest, judged));
    if (latest === undefined || original === undefined) return judged;
    const replay: CatalogueEntry = {
      ...latest,
      originProblem: "replay",
      notice: replayNotice(latest, original),
    };
    judged = judged.map((entry) => (entry === latest ? replay : entry));
  }
}

function replayNotice({ stamp }: CatalogueEntry, original: CatalogueEntry): string {
  return `the backup of ${stamp} has the same bytes as that of ${original.stamp}, which was stored before it: somebody has put it there again.`;
}

/** What is beside a signed manifest makes the backup suspect only if it is signed as well. */
async function withSignedSuspicion(reader: Reader, entry: CatalogueEntry): Promise<CatalogueEntry> {
  const { suspectManifestKey: key } = entry;
  if (key === undefined || !entry.suspect) return entry;
  const own = await reader.read(entry);
  if (own.originProblem !== undefined) return entry;
  const other = await reader.read(entry, key);
  if (other.originProblem === undefined) return entry;
  const notice = `${key} calls the backup suspect, but has no force: it is not signed as the manifest beside the dump is.`;
  const { suspectReason: _, ...rest } = entry;
  return { ...rest, suspect: false, notice };
}

const PROBLEM_OF: Readonly<Record<Signature, OriginProblem | undefined>> = {
  signed: undefined,
  unsigned: "unsigned",
  wrong: "wrongly signed",
  "unknown key": "signed with an unknown key",
};

interface Judged {
  /** What its signature comes to; undefined: it is signed. */
  readonly originProblem: OriginProblem | undefined;
  /** SHA-256 of the dump; undefined: the manifest cannot be read. */
  readonly sha256: string | undefined;
}

/** The service does not give a manifest for now; the cause says why. */
class UnreadManifest extends Error {
  readonly entry: CatalogueEntry;
  constructor(entry: CatalogueEntry, cause: unknown) {
    super("unread manifest", { cause });
    this.entry = entry;
  }
}

/** Reads each manifest once. */
class Reader {
  readonly #store: ObjectStore;
  readonly #keys: readonly SigningKey[];
  readonly #read = new Map<string, Promise<Judged>>();

  constructor(store: ObjectStore, keys: readonly SigningKey[]) {
    this.#store = store;
    this.#keys = keys;
  }

  /** @throws UnreadManifest when the service does not give it, unless it refuses this one */
  read(entry: CatalogueEntry, key = entry.manifestKey): Promise<Judged> {
    const name = JSON.stringify([entry.key, key]);
    const judged = this.#read.get(name) ?? this.#judge(entry, key);
    this.#read.set(name, judged);
    return judged;
  }

  async #judge(entry: CatalogueEntry, key: string | null): Promise<Judged> {
    try {
      const { manifest, signature } = await readSigned(this.#store, entry, this.#keys, key);
      return { originProblem: PROBLEM_OF[signature], sha256: manifest.object.sha256 };
    } catch (error) {
      const fromService = error instanceof Problem ? error.cause : error;
      if (fromService !== undefined && !isRefused(fromService)) {
        throw new UnreadManifest(entry, error);
      }
      return { originProblem: "unreadable manifest", sha256: undefined };
    }
  }

  /** The one that was stored before this one with the same bytes. Where the sizes differ, nothing is read. */
  async original(
    entry: CatalogueEntry,
    entries: readonly CatalogueEntry[],
  ): Promise<CatalogueEntry | undefined> {
    const before = entries.filter(
      (other) =>
        other.key !== entry.key &&
        other.bytes === entry.bytes &&
        other.kind === "ours" &&
        other.manifestKey !== null &&
        (other.storedAt < entry.storedAt ||
          (other.storedAt === entry.storedAt && other.stamp < entry.stamp)),
    );
    if (before.length === 0 || entry.manifestKey === null) return undefined;
    const { sha256 } = await this.read(entry);
    if (sha256 === undefined) return undefined;
    let found: CatalogueEntry | undefined;
    await forEachAtOnce(before, async (other) => {
      if ((await this.read(other)).sha256 === sha256) found = other;
    });
    return found;
  }
}
