import type { Base, Chain, Window } from "../../common/contracts/pointInTime.ts";
import {
  coverage,
  lineage,
  nameOf,
  placeOf,
  type StoredChain,
  type StoredPiece,
} from "./storedChain.ts";
import { type Stretch, stretchesOf } from "./stretches.ts";
import { marksOf, windowOf } from "./windows.ts";

/** What a recovery takes from the bucket. */
export interface Recovery {
  readonly chain: Chain;
  /** The base, and those beneath it; the whole one first. */
  readonly bases: readonly Base[];
  /** Names of the segments, in their order. */
  readonly segments: readonly string[];
  /** Segments that are put together from pieces, some of them without their end. */
  readonly pieced: readonly { readonly file: string; readonly pieces: readonly StoredPiece[] }[];
  /** Place behind the last byte that is taken. */
  readonly end: number;
  readonly window: Window;
  /** The end of this WAL is known to be the state of the moment, where nothing was written after it. */
  readonly isProven: boolean;
}

/**
 * Chooses chain and base for a moment: where it lies in several windows, the one that proves it, and then the newest base before
 * it, which leaves the least to replay.
 * @param moment ISO 8601 in UTC; `latest`: the end of the newest WAL
 * @returns undefined where no window has it
 */
export function chooseRecovery(
  chains: readonly StoredChain[],
  moment: string,
): Recovery | undefined {
  const found = chains.flatMap((stored) =>
    stretchesOf(stored).flatMap((stretch) => {
      const window = windowOf(stored, stretch);
      return window === undefined ? [] : [{ stored, stretch, window }];
    }),
  );
  if (moment === "latest") {
    const newest = found.toSorted((a, b) => (a.window.to < b.window.to ? 1 : -1))[0];
    return newest && recoveryOf(newest, moment);
  }
  const recoveries = found
    .filter(({ window }) => isIn(window, moment))
    .map((one) => recoveryOf(one, moment));
  return recoveries.toSorted(
    (a, b) => Number(b.isProven) - Number(a.isProven) || (lastEnd(a) < lastEnd(b) ? 1 : -1),
  )[0];
}

/** Whether the window has the moment. */
export function isIn({ from, to }: Pick<Window, "from" | "to">, moment: string): boolean {
  const at = Date.parse(moment);
  return Date.parse(from) <= at && at <= Date.parse(to);
}

function recoveryOf(
  {
    stored,
    stretch,
    window,
  }: {
    readonly stored: StoredChain;
    readonly stretch: Stretch;
    readonly window: Window;
  },
  moment: string,
): Recovery {
  const { chain, pieces } = stored;
  const isBefore = ({ endedAt }: Base) =>
    moment === "latest" || Date.parse(endedAt) <= Date.parse(moment);
  const base = stretch.bases
    .filter(isBefore)
    .toSorted((a, b) => placeOf(b.endLsn) - placeOf(a.endLsn))[0] as Base;
  // The first mark after the moment: no commit of the moment, or of before, lies behind its place.
  const mark = marksOf(stored).find(
    ({ time, position }) =>
      moment !== "latest" && Date.parse(time) >= Date.parse(moment) && position <= stretch.end,
  );
  const size = chain.segmentBytes;
  const end = Math.max(mark?.position ?? stretch.end, placeOf(base.endLsn));
  const first = Math.floor(placeOf(base.startLsn) / size);
  const whole = new Set(stored.segments.map(({ number }) => number));
  const numbers = Array.from({ length: Math.ceil(end / size) - first }, (_, at) => first + at);
  return {
    chain,
    bases: lineage(base, stored.bases) as readonly Base[],
    segments: numbers.filter((number) => whole.has(number)).map((number) => nameOf(chain, number)),
    pieced: numbers
      .filter((number) => !whole.has(number))
      .map((number) => {
        return { file: nameOf(chain, number), pieces: coverage(pieces.get(number) ?? []).used };
      }),
    end,
    window,
    isProven: mark !== undefined || moment === "latest",
  };
}

function lastEnd({ bases }: Recovery): string {
  return bases.at(-1)?.endedAt ?? "";
}
