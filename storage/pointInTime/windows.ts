import type { Base, Gap, Window } from "../../common/contracts/pointInTime.ts";
import { placeOf, type StoredChain } from "./storedChain.ts";
import { gapsOf, type Stretch, stretchesOf } from "./stretches.ts";

/** What can be recovered, and what is missing. */
export interface Reach {
  /** In the order of their beginnings. Those of different chains may overlap. */
  readonly windows: readonly Window[];
  readonly gaps: readonly Gap[];
}

/** A moment of the server at which it had written no more than up to a place. */
interface Mark {
  readonly time: string;
  readonly position: number;
}

/**
 * What can be recovered from the chains: from the end of the oldest base that counts to the newest stored moment, cut where
 * segments are missing. A base counts when its WAL is there from its beginning to its end, and so are the bases beneath it.
 */
export function reachOf(chains: readonly StoredChain[]): Reach {
  const windows: Window[] = [];
  const gaps: Gap[] = [];
  for (const stored of chains) {
    const stretches = stretchesOf(stored);
    gaps.push(...gapsOf(stored, stretches));
    for (const stretch of stretches) {
      const window = windowOf(stored, stretch);
      if (window !== undefined) windows.push(window);
    }
  }
  return { windows: windows.toSorted((a, b) => (a.from < b.from ? -1 : 1)), gaps };
}

/** The moments of one stretch; undefined where no base is in it. */
export function windowOf(stored: StoredChain, stretch: Stretch): Window | undefined {
  const { bases, end, storedAt } = stretch;
  const ends = bases.map(({ endedAt }) => endedAt).toSorted(byTime);
  const [from] = ends;
  if (from === undefined) return undefined;
  const proven = marksOf(stored).findLast(
    ({ time, position }) => position <= end && byTime(time, from) >= 0,
  )?.time;
  return {
    chain: stored.chain.chain,
    from: iso(from),
    to: iso([storedAt, proven ?? from, from].filter(Boolean).toSorted(byTime).at(-1) ?? from),
    proven: proven === undefined ? null : iso(proven),
    bases: bases.map(({ stamp }) => stamp),
  };
}

/**
 * Moments of which it is known how far the server had written: its marks of life, and the beginnings of bases. A stamp is cut
 * to the second, so that it lies before the beginning.
 */
export function marksOf({ alive, bases }: StoredChain): Mark[] {
  return [
    ...alive.map(({ time, serverLsn }) => ({ time, position: placeOf(serverLsn) })),
    ...bases.map(({ stamp, startLsn }: Base) => {
      return { time: `${stamp}.000Z`, position: placeOf(startLsn) };
    }),
  ].toSorted((a, b) => byTime(a.time, b.time));
}

function byTime(a: string, b: string): number {
  return Date.parse(a) - Date.parse(b);
}

/** Times that are compared as text have one form. */
function iso(time: string): string {
  return new Date(time).toISOString();
}
