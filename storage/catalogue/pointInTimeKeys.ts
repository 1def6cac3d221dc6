import type { Base, Chain } from "../../common/contracts/pointInTime.ts";

/** How the WAL and the bases of a chain are stored: compressed, and encrypted where the chain is. */
type Sealed = Pick<Chain, "encryption">;

/** What a key of point-in-time recovery names. Stamps are UTC to the second. */
export type PointInTimeKey = { readonly chain: string } & (
  | { readonly kind: "chain" }
  /** A whole segment, or the history of a timeline. */
  | { readonly kind: "segment" | "history"; readonly file: string }
  /** Commit mark, tar and list of files of a base backup. */
  | { readonly kind: "base" | "tar" | "files"; readonly stamp: string }
  /** Bytes of a segment that was still open: from, and to which byte, that one not included. */
  | { readonly kind: "piece"; readonly file: string; readonly from: number; readonly to: number }
  | { readonly kind: "alive"; readonly stamp: string }
);

/** What all keys begin with that live as long as recovery needs them. */
export function pointInTimeStem(prefix: string): string {
  return `${prefix}/pitr/`;
}

/** What the keys begin with that are wanted for days alone: pieces of open segments, and marks of life. */
export function openStem(prefix: string): string {
  return `${prefix}/pitr-open/`;
}

export function chainKey(prefix: string, chain: string): string {
  return `${pointInTimeStem(prefix)}${chain}/chain.json`;
}

/** @param file name of a segment, 24 hexadecimal digits, or of a history: `00000002.history` */
export function segmentKey(prefix: string, chain: string, file: string, how: Sealed): string {
  return `${pointInTimeStem(prefix)}${chain}/wal/${file}.zst${sealed(how)}`;
}

export function baseKey(prefix: string, { chain, stamp }: Pick<Base, "chain" | "stamp">): string {
  return `${pointInTimeStem(prefix)}${chain}/base/${stamp}.json`;
}

export function baseTarKey(prefix: string, chain: string, stamp: string, how: Sealed): string {
  return `${pointInTimeStem(prefix)}${chain}/base/${stamp}.tar.zst${sealed(how)}`;
}

/** PostgreSQL's own list of the files of a base, in clear: an incremental one cannot be taken without it. */
export function baseFilesKey(prefix: string, chain: string, stamp: string): string {
  return `${pointInTimeStem(prefix)}${chain}/base/${stamp}.backup_manifest.zst`;
}

/** Names sort in the order of the bytes. */
export function pieceKey(
  prefix: string,
  chain: string,
  { file, from, to }: { readonly file: string; readonly from: number; readonly to: number },
  how: Sealed,
): string {
  const hex = (bytes: number) => bytes.toString(16).toUpperCase().padStart(8, "0");
  return `${openStem(prefix)}${chain}/${file}.${hex(from)}-${hex(to)}.zst${sealed(how)}`;
}

export function aliveKey(prefix: string, chain: string, stamp: string): string {
  return `${openStem(prefix)}${chain}/alive/${stamp}.json`;
}

function sealed({ encryption }: Sealed): string {
  return encryption === "age" ? ".age" : "";
}

const stampPattern = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`;
const chainPattern = String.raw`kpb_\d{8}t\d{6}_[0-9a-f]{6}`;
const keptForm = new RegExp(
  String.raw`^(${chainPattern})/(?:(chain)\.json|wal/(?:([0-9A-F]{24})|([0-9A-F]{8}\.history))\.zst(?:\.age)?|base/(${stampPattern})\.(json|tar\.zst(?:\.age)?|backup_manifest\.zst))$`,
);
const openForm = new RegExp(
  String.raw`^(${chainPattern})/(?:([0-9A-F]{24})\.([0-9A-F]{8})-([0-9A-F]{8})\.zst(?:\.age)?|alive/(${stampPattern})\.json)$`,
);

/** Reads a key; undefined when it is none of point-in-time recovery below this prefix. */
export function parsePointInTimeKey(prefix: string, key: string): PointInTimeKey | undefined {
  if (key.startsWith(pointInTimeStem(prefix))) {
    const found = keptForm.exec(key.slice(pointInTimeStem(prefix).length));
    if (found === null) return undefined;
    const [, chain = "", isChain, segment, history, stamp = "", rest] = found;
    if (isChain !== undefined) return { chain, kind: "chain" };
    if (segment !== undefined) return { chain, kind: "segment", file: segment };
    if (history !== undefined) return { chain, kind: "history", file: history };
    if (rest === "json") return { chain, kind: "base", stamp };
    return { chain, kind: rest?.startsWith("tar") ? "tar" : "files", stamp };
  }
  if (key.startsWith(openStem(prefix))) {
    const found = openForm.exec(key.slice(openStem(prefix).length));
    if (found === null) return undefined;
    const [, chain = "", file, from = "", to = "", stamp = ""] = found;
    if (file === undefined) return { chain, kind: "alive", stamp };
    return {
      chain,
      kind: "piece",
      file,
      from: Number.parseInt(from, 16),
      to: Number.parseInt(to, 16),
    };
  }
  return undefined;
}
