import { createHash, randomBytes } from "node:crypto";
import type { Equality } from "./difference.ts";
import { type Props, UNKNOWN, type Value } from "./values.ts";

/** What a resource is asked with, beside its properties. */
export interface Context {
  /** The resource's address in the stack. */
  readonly urn: string;
  /** The logical name given in the program. */
  readonly name: string;
  /** Shows one line in the engine's display; `status` lines vanish when the resource is done. */
  log(severity: "info" | "status" | "warning" | "error", message: string): void;
}

export interface CheckContext extends Context {
  /** The inputs that were checked last time; undefined for a new or replaced resource. */
  readonly olds: Props | undefined;
  /** Same seed, same generated name. */
  readonly randomSeed: Uint8Array;
}

/** A setting is wrong: the engine prints it with the property's name before anything is done. */
export class CheckFailure extends Error {
  override readonly name = "CheckFailure";
  readonly property: string;
  constructor(property: string, reason: string) {
    super(reason);
    this.property = property;
  }
}

/** Refuses settings that a stand-in would otherwise drop in silence. */
export function takesOnly(supported: readonly string[], given: Props, path = ""): void {
  const strange = Object.keys(given).find(
    (key) => !supported.includes(key) && !key.startsWith("__"),
  );
  if (strange === undefined) return;
  throw new CheckFailure(path + strange, `the stand-in takes only ${supported.join(", ")}`);
}

/**
 * One resource type of a provider. Properties come and go as plain values: the frame unwraps and wraps secrets, answers
 * previews without calling `create` or `update`, and compares inputs.
 * @typeParam I the inputs, named as in the real provider's SDK
 */
export interface Resource<I extends object> {
  readonly type: string;
  /** Outputs that are not inputs; unknown while a creation is previewed. */
  readonly computed: readonly string[];
  /** The computed outputs that an update may change: unknown while one is previewed. */
  readonly volatile?: readonly string[];
  /** Inputs whose change replaces the resource. */
  readonly replacedBy: readonly string[];
  /** Properties that are secret whatever the program says. */
  readonly secrets?: readonly string[];
  /** Inputs that are compared by meaning. */
  readonly equal?: Readonly<Record<string, Equality>>;
  /** Fills defaults and refuses wrong settings (`CheckFailure`). Unknown values may occur. */
  check?(news: Props, context: CheckContext): Props | Promise<Props>;
  /** Makes the thing. Returns its id and the computed outputs. */
  create(inputs: I, context: Context): Promise<{ id: string; outputs: Props }>;
  /**
   * Looks at the thing. Returns undefined when it is gone, else the inputs as they are found (a key with undefined: found
   * unset; an absent key: cannot be seen) and the computed outputs.
   */
  read?(id: string, state: Props): Promise<Found | undefined>;
  /** Changes the thing in place. Returns the computed outputs. */
  update(id: string, news: I, olds: Props, context: Context): Promise<Props>;
  delete(id: string, state: Props, context: Context): Promise<void>;
}

/** A resource whose inputs the frame does not know: they have the shape that the program's SDK gave them. */
export type AnyResource = Resource<never>;

export interface Found {
  readonly inputs: { readonly [key: string]: Value | undefined };
  readonly outputs: Props;
}

/**
 * Gives `property` a generated name (`<logical name>-<7 hex digits>`) unless the program names it, and keeps the generated
 * name on later runs. What was generated is noted in `__defaults`, as the real provider does.
 */
export function autoname(
  property: string,
  news: Props,
  context: CheckContext,
  shape: { prefix?: string; maximum: number; lowercase?: boolean },
): Props {
  if (news[property] !== undefined) return { ...news, __defaults: [] };
  const noted = context.olds?.["__defaults"];
  const kept = Array.isArray(noted) && noted.includes(property) && context.olds?.[property];
  return { ...news, [property]: kept || generate(context, shape), __defaults: [property] };
}

function generate(
  context: CheckContext,
  shape: { prefix?: string; maximum: number; lowercase?: boolean },
): string {
  if (shape.prefix === UNKNOWN) return UNKNOWN;
  const seed = context.randomSeed.length > 0 ? context.randomSeed : randomBytes(16);
  const suffix = createHash("sha256").update(seed).digest("hex").slice(0, 7);
  const stem = shape.prefix ?? `${context.name}-`;
  const name = stem.slice(0, shape.maximum - suffix.length) + suffix;
  return shape.lowercase ? name.toLowerCase() : name;
}
