import type { OriginProblem } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import type { Tier } from "./objectKeys.ts";

/** One dump in the bucket, with what belongs to it. */
export interface CatalogueEntry {
  /** Exact name of the database. */
  readonly database: string;
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02`. */
  readonly stamp: string;
  /** Full key of the dump. */
  readonly key: string;
  readonly bytes: number;
  /** When the service stored it, ISO 8601 in UTC. */
  readonly storedAt: string;
  /** `legacy`: written by postgres-backup-s3 or a fork, without manifest. */
  readonly kind: "ours" | "legacy";
  /** Full key of the manifest; null: there is none, so an entry of this package is incomplete and must not be restored. */
  readonly manifestKey: string | null;
  /** When the service stored the manifest, ISO 8601 in UTC; absent: there is none, or who listed the entry does not tell. */
  readonly manifestStoredAt?: string;
  /** Stored, but found suspect when it was taken or later: it never counts as latest. A manifest says why. */
  readonly suspect: boolean;
  /** Full key of a manifest under `suspect` besides the one beside the dump; absent: there is none, or it is the only one. */
  readonly suspectManifestKey?: string;
  /** Why it was found suspect later, from that manifest. */
  readonly suspectReason?: string | null | undefined;
  /** True: the dump was stored after its manifest, which is written last, so it is not the one that was written first. */
  readonly overwritten?: boolean | undefined;
  /** What is odd about its parts, as a sentence. */
  readonly notice?: string | null | undefined;
  /** Why it may not be what it says, as `judgeOrigin` has found; absent: nothing was found, or it was not judged. */
  readonly originProblem?: OriginProblem | null | undefined;
  /** Folder by calendar; null without tiers. */
  readonly tier: Tier | null;
  /** Full key of the roles and grants beside the dump; null: there are none. */
  readonly globalsKey: string | null;
  /** Full key of the index beside the dump; absent: there is none, or who listed the entry does not tell. */
  readonly indexKey?: string | null | undefined;
  /** Full key of the mark that the dump was read back whole; null: it was not, or no such mark counts. */
  readonly verifiedKey: string | null;
  /** All marks that the dump was read back whole; absent: none, or who listed the entry does not tell. */
  readonly verifications?: readonly Mark[] | undefined;
  /** True: there is such a mark, but whoever may write can have made it: it is not signed with a key that is known here. */
  readonly unsignedVerification?: boolean | undefined;
  /** The deploys before which it was taken, or was young enough; absent: none, or who listed the entry does not tell. */
  readonly deploys?: readonly DeployMark[] | undefined;
}

/** An object beside a dump that says something of it by its name. */
export interface Mark {
  /** Full key of the mark. */
  readonly key: string;
  /** The signature in its name; absent: it has none. */
  readonly mac?: string | undefined;
}

/** The mark that a backup was there before a deploy. */
export interface DeployMark extends Mark {
  /** What was deployed: the revision of git, or what Kamal was given as `--version`. */
  readonly revision: string;
  /** True: whoever may write can have made it. Only said where the keys that sign are known. */
  readonly unsigned?: boolean | undefined;
}

/** Whether the dump's name says that it is encrypted. */
export function isEncrypted({ key }: Pick<CatalogueEntry, "key">): boolean {
  return /\.(?:age|gpg)$/.test(key);
}

/** Whether the entry can be restored: its manifest is there, or it is of a kind that never had one. */
export function isComplete(entry: CatalogueEntry): boolean {
  return entry.kind === "legacy" || entry.manifestKey !== null;
}

/** Whether the entry counts as a backup: complete, and not suspect. */
export function isGood(entry: CatalogueEntry): boolean {
  return isComplete(entry) && !entry.suspect;
}

/**
 * Order of a listing. By stamp, the latest first; of two with one stamp the complete one with a manifest comes first, then
 * the one that was stored first: what was put there later cannot stand before it.
 */
export function latestFirst(a: CatalogueEntry, b: CatalogueEntry): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? 1 : -1;
  const rank = (entry: CatalogueEntry) => (entry.manifestKey === null ? 2 : entry.suspect ? 1 : 0);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a.storedAt !== b.storedAt) return a.storedAt < b.storedAt ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

/** For an entry whose manifest is missing. */
export function incomplete(entry: CatalogueEntry): Problem {
  return new Problem(
    `backup ${entry.key} is incomplete: its manifest is missing, so its upload was never confirmed. Choose another one from the list.`,
  );
}
