/** What travels between the engine and a provider, once secrets are unwrapped. */
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Props = { [key: string]: Value };

/** The engine's mark for "known only after the update". */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

export function isObject(value: unknown): value is { [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same value with every secret mark taken off, at any depth. */
export function unwrap(value: Value): Value {
  if (Array.isArray(value)) return value.map(unwrap);
  if (!isObject(value)) return value;
  if (value[SIGNATURE] === SECRET) return unwrap(value["value"] ?? null);
  return unwrapProps(value);
}

export function unwrapProps(props: Props): Props {
  return Object.fromEntries(Object.entries(props).map(([key, value]) => [key, unwrap(value)]));
}

/** Top-level keys that hold a secret somewhere inside: the whole key is then treated as secret. */
export function secretKeys(props: Props): string[] {
  return Object.keys(props).filter((key) => some(props[key] ?? null, isSecret));
}

/** Marks the given top-level keys as secret, for the way back to the engine. */
export function wrapProps(props: Props, secrets: Iterable<string>): Props {
  const marked = new Set(secrets);
  return Object.fromEntries(
    Object.entries(props).map(([key, value]) => [
      key,
      marked.has(key) ? { [SIGNATURE]: SECRET, value } : value,
    ]),
  );
}

export function hasUnknown(value: Value): boolean {
  return some(value, (part) => part === UNKNOWN);
}

/** The engine's wire format has no `undefined`: an absent property is absent. */
export function withoutUndefined(props: { [key: string]: Value | undefined }): Props {
  const present: Props = {};
  for (const [key, value] of Object.entries(props)) {
    if (value !== undefined) present[key] = value;
  }
  return present;
}

function isSecret(value: Value): boolean {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

function some(value: Value, test: (part: Value) => boolean): boolean {
  if (test(value)) return true;
  if (Array.isArray(value)) return value.some((part) => some(part, test));
  return isObject(value) && Object.values(value).some((part) => some(part, test));
}
