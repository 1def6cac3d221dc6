import { isDeepStrictEqual } from "node:util";
import { CheckFailure } from "../resource.ts";
import { hasUnknown, isObject, type Props, UNKNOWN, type Value } from "../values.ts";

/** Checks the `policy` input: an object is accepted and becomes JSON text, as the real provider does. */
export function checkPolicy(news: Props): Props {
  const policy = news["policy"];
  if (policy === undefined || policy === UNKNOWN) return news;
  if (hasUnknown(policy)) return { ...news, policy: UNKNOWN };
  if (typeof policy === "string" && !isJson(policy)) {
    throw new CheckFailure("policy", "contains an invalid JSON policy");
  }
  return { ...news, policy: typeof policy === "string" ? policy : JSON.stringify(policy) };
}

/** Whether two policy documents grant the same, whatever the order of keys, and of values in a set. */
export function samePolicy(before: Value, after: Value): boolean {
  if (typeof before !== "string" || typeof after !== "string") return before === after;
  if (!isJson(before) || !isJson(after)) return before === after;
  return isDeepStrictEqual(normal(JSON.parse(before)), normal(JSON.parse(after)));
}

function isJson(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

/** One spelling of a document: a list of one is its element, lists of strings are sorted. */
function normal(value: Value): Value {
  if (Array.isArray(value)) {
    const parts = value.map(normal);
    if (parts.length === 1 && parts[0] !== undefined) return parts[0];
    return parts.every((part) => typeof part === "string") ? parts.sort() : parts;
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, normal(part)]));
}
