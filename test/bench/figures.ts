import { styleText } from "node:util";
import Table from "cli-table3";

/** One line of the result. What `must` and `aim` bound is the ratio where there is one, else our own value. */
export interface Figure {
  readonly name: string;
  readonly unit: "s" | "CPU s" | "MiB" | "MB" | "bytes";
  /** Null: could not be measured. */
  readonly ours: number | null;
  /** The other side's value, of the same unit; null where there is none. */
  readonly theirs: number | null;
  readonly ratio: number | null;
  readonly bounded: "ratio" | "ours" | null;
  readonly must: number | null;
  readonly aim: number | null;
  readonly verdict: "aim" | "must" | "missed" | "for information";
}

interface Bounds {
  readonly must: number;
  readonly aim: number;
}

/** Bounds our value in proportion to the other's. */
export function proportion(
  name: string,
  unit: Figure["unit"],
  ours: number | null,
  theirs: number | null,
  bounds?: Bounds,
): Figure {
  const ratio = ours === null || theirs === null ? null : ours / theirs;
  return judged({ name, unit, ours, theirs, ratio }, "ratio", ratio, bounds);
}

/** Bounds our value as such. */
export function amount(
  name: string,
  unit: Figure["unit"],
  ours: number | null,
  theirs: number | null,
  bounds?: Bounds,
): Figure {
  return judged({ name, unit, ours, theirs, ratio: null }, "ours", ours, bounds);
}

function judged(
  values: Pick<Figure, "name" | "unit" | "ours" | "theirs" | "ratio">,
  bounded: "ratio" | "ours",
  value: number | null,
  bounds: Bounds | undefined,
): Figure {
  if (bounds === undefined) {
    return { ...values, bounded: null, must: null, aim: null, verdict: "for information" };
  }
  const { must, aim } = bounds;
  const verdict = value === null || value > must ? "missed" : value > aim ? "must" : "aim";
  return { ...values, bounded, must, aim, verdict };
}

/** The middle value; with an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new Error("the median of nothing");
  return (low + high) / 2;
}

const colours = { aim: "green", must: "green", missed: "red", "for information": "gray" } as const;

export function printFigures(figures: readonly Figure[]): string {
  const table = new Table({
    head: ["figure", "ours", "theirs", "", "ratio", "must", "aim", "reached"],
    colAligns: ["left", "right", "right", "left", "right", "right", "right", "left"],
    style: { head: [], border: [] },
  });
  for (const figure of figures) {
    table.push([
      figure.name,
      figure.ours === null ? "not measured" : short(figure.ours),
      figure.theirs === null ? "" : short(figure.theirs),
      figure.unit,
      figure.ratio === null ? "" : figure.ratio.toFixed(2),
      figure.must === null ? "" : `<= ${figure.must}`,
      figure.aim === null ? "" : `<= ${figure.aim}`,
      styleText(colours[figure.verdict], figure.verdict),
    ]);
  }
  return table.toString();
}

const short = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
