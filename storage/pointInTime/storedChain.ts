import type { Alive, Base, Chain } from "../../common/contracts/pointInTime.ts";
import { segmentName, walBytes } from "../catalogue/walPosition.ts";

/** Bytes of a segment that was still open when they were stored. */
export interface StoredPiece {
  readonly key: string;
  /** First byte, and the one after the last, within the segment. */
  readonly from: number;
  readonly to: number;
  /** ISO 8601 in UTC by the service's clock. */
  readonly storedAt: string;
}

/** A whole segment in the bucket. */
export interface StoredSegment {
  /** Counted from the first segment of all WAL, so that consecutive ones have consecutive numbers. */
  readonly number: number;
  readonly storedAt: string;
}

/** What the bucket holds of one chain, as far as it is believed. */
export interface StoredChain {
  readonly chain: Chain;
  /** Of the chain's timeline, in the order of their numbers, each once. */
  readonly segments: readonly StoredSegment[];
  /** Pieces by the number of their segment, of segments that are not whole, in the order of their bytes. */
  readonly pieces: ReadonlyMap<number, readonly StoredPiece[]>;
  /** Commit marks whose tar is there too, in the order of their stamps. */
  readonly bases: readonly Base[];
  /** Marks of life that were read, in the order of their times: not all that there are. */
  readonly alive: readonly Alive[];
}

/**
 * How far the pieces of a segment go without a hole. They overlap where a receiver began anew.
 * @param pieces in the order of their first bytes
 * @returns the number of bytes from the segment's beginning, and which pieces they take
 */
export function coverage(pieces: readonly StoredPiece[]): {
  readonly bytes: number;
  readonly used: readonly StoredPiece[];
} {
  const used: StoredPiece[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    if (piece.from > bytes) break;
    if (piece.to <= bytes) continue;
    used.push(piece);
    bytes = piece.to;
  }
  return { bytes, used };
}

/**
 * A base with all that lie beneath it, the whole one first.
 * @returns undefined where one of them is missing: then it is no base
 */
export function lineage(base: Base, bases: readonly Base[]): readonly Base[] | undefined {
  const found: Base[] = [base];
  for (let at = base; at.parent !== null; ) {
    const parent = bases.find(({ stamp }) => stamp === at.parent);
    // A circle is no lineage either.
    if (parent === undefined || found.includes(parent)) return undefined;
    found.unshift(parent);
    at = parent;
  }
  return found;
}

/** A place in the WAL as a number of bytes: exact below 8 PiB of WAL. @param lsn as PostgreSQL writes it */
export function placeOf(lsn: string): number {
  return Number(walBytes(lsn));
}

/** Name of the segment with this number on the chain's timeline. */
export function nameOf({ timeline, segmentBytes }: Chain, number: number): string {
  return segmentName(timeline, BigInt(number) * BigInt(segmentBytes), segmentBytes);
}
