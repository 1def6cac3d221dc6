import { isDeepStrictEqual } from "node:util";
import { isObject, type Props, type Value } from "./values.ts";

export type Change = "add" | "delete" | "update";
/** Says when two values of one property mean the same, e.g. two spellings of one policy document. */
export type Equality = (before: Value, after: Value) => boolean;

/**
 * Every difference between two sets of inputs, by property path (`rules[0].expiration.days`).
 * @param equal by top-level key; where absent, values are compared as they stand
 */
export function differences(
  before: Props,
  after: Props,
  equal: Readonly<Record<string, Equality>> = {},
): Map<string, Change> {
  const found = new Map<string, Change>();
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    // `__defaults` and its like are the provider's own notes, not settings.
    if (key.startsWith("__")) continue;
    const [old, now] = [before[key], after[key]];
    if (old !== undefined && now !== undefined && equal[key]?.(old, now)) continue;
    compare(step("", key), old, now, found);
  }
  return found;
}

/** The top-level key of a property path. */
export function rootOf(path: string): string {
  return /^[^.[]*/.exec(path)?.[0] ?? path;
}

/** Whether a path lies at or below one of the given paths (`ignoreChanges`). */
export function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some(
    (root) => path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`),
  );
}

function compare(
  path: string,
  before: Value | undefined,
  after: Value | undefined,
  found: Map<string, Change>,
): void {
  if (isDeepStrictEqual(before, after)) return;
  if (before === undefined) found.set(path, "add");
  else if (after === undefined) found.set(path, "delete");
  else if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      compare(`${path}[${index}]`, before[index], after[index], found);
    }
  } else if (isObject(before) && isObject(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(step(path, key), before[key], after[key], found);
    }
  } else found.set(path, "update");
}

function step(path: string, key: string): string {
  if (!/^[\w$]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}
