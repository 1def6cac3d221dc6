import type { Base, Gap } from "../../common/contracts/pointInTime.ts";
import {
  coverage,
  lineage,
  nameOf,
  placeOf,
  type StoredChain,
  type StoredPiece,
} from "./storedChain.ts";

/** WAL of one chain without a hole. */
export interface Stretch {
  /** Number of its first segment. */
  readonly first: number;
  /** Number of the segment that follows the last whole one; its pieces may be there. */
  readonly open: number;
  /** Place behind its last byte. */
  readonly end: number;
  /** When its newest part was stored, by the service's clock. */
  readonly storedAt: string;
  /** Those that can be recovered with it, in the order of their stamps. */
  readonly bases: readonly Base[];
  /** Nothing of the chain is stored behind it. */
  readonly isLast: boolean;
}

/**
 * The WAL of a chain, cut where segments are missing. A segment of which all pieces are there counts as whole.
 * @returns in the order of their places
 */
export function stretchesOf(stored: StoredChain): Stretch[] {
  const { chain, segments, pieces } = stored;
  const size = chain.segmentBytes;
  const whole = new Map(segments.map(({ number, storedAt }) => [number, storedAt]));
  for (const [number, list] of pieces) {
    if (!whole.has(number) && coverage(list).bytes >= size) whole.set(number, newest(list));
  }
  const numbers = [...whole.keys()].toSorted((a, b) => a - b);
  const runs: { first: number; open: number }[] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && run.open === number) run.open += 1;
    else runs.push({ first: number, open: number + 1 });
  }
  // Pieces may be all that there is yet of a chain, or of what follows a gap.
  for (const [number, list] of pieces) {
    if (whole.has(number) || coverage(list).bytes === 0) continue;
    if (!runs.some(({ open }) => open === number)) runs.push({ first: number, open: number });
  }
  runs.sort((a, b) => a.first - b.first);
  return runs.map(({ first, open }, index) => {
    const { bytes, used } = coverage(pieces.get(open) ?? []);
    const end = open * size + bytes;
    const isIn = ({ startLsn, endLsn }: Base) =>
      Math.floor(placeOf(startLsn) / size) >= first && placeOf(endLsn) <= end;
    return {
      first,
      open,
      end,
      storedAt: [whole.get(open - 1) ?? "", newest(used)].toSorted().at(-1) ?? "",
      bases: stored.bases.filter((base) => isIn(base) && lineage(base, stored.bases) !== undefined),
      isLast: index === runs.length - 1,
    };
  });
}

/** What is missing between the stretches of a chain. */
export function gapsOf({ chain }: StoredChain, stretches: readonly Stretch[]): Gap[] {
  return stretches.slice(1).map(({ first }, index) => {
    const from = (stretches[index] as Stretch).open;
    return {
      chain: chain.chain,
      first: nameOf(chain, from),
      last: nameOf(chain, first - 1),
      segments: first - from,
    };
  });
}

function newest(pieces: readonly StoredPiece[]): string {
  return (
    pieces
      .map(({ storedAt }) => storedAt)
      .toSorted()
      .at(-1) ?? ""
  );
}
