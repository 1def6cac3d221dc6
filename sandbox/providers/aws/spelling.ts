import { isDeepStrictEqual } from "node:util";
import { isObject, type Props, type Value } from "../values.ts";
import { fromTagList, toTagList } from "./service.ts";

/** The S3 API's spelling of settings that the provider spells in camel case: `daysAfterInitiation` is `DaysAfterInitiation`. */
export function toService(value: Value): unknown {
  if (Array.isArray(value)) return value.map(toService);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      if (key === "id") return ["ID", part];
      if (key === "tags") return ["Tags", toTagList(part as Record<string, string>)];
      if (key === "date") return ["Date", new Date(String(part))];
      return [key.charAt(0).toUpperCase() + key.slice(1), toService(part)];
    }),
  );
}

/** The reverse of `toService`; what is unset or empty is left out. */
export function fromService(value: unknown): Value | undefined {
  if (value === undefined || value === "" || value === false) return undefined;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((part) => fromService(part) ?? {});
  if (!isObject(value)) return value as Value;
  const props: Props = {};
  for (const [key, part] of Object.entries(value)) {
    const found =
      key === "Tags" ? fromTagList(part as { Key: string; Value: string }[]) : fromService(part);
    if (found === undefined || isEmpty(found)) continue;
    props[key === "ID" ? "id" : key.charAt(0).toLowerCase() + key.slice(1)] = found;
  }
  return props;
}

/** Settings as they come back from the service: two that are equal so mean the same. */
export function normal(value: Value): Value | undefined {
  return fromService(toService(value));
}

/** What was found, spelt as the program spelt it wherever it means the same, so that only real differences show. */
export function asWritten(written: Value, found: Value): Value {
  if (isDeepStrictEqual(normal(written), normal(found))) return written;
  if (!isObject(written) || !isObject(found)) return found;
  const merged = { ...found };
  for (const [key, part] of Object.entries(written)) {
    const now = found[key];
    if (now !== undefined) merged[key] = asWritten(part, now);
    else if (isEmpty(normal(part))) merged[key] = part;
  }
  return merged;
}

function isEmpty(value: Value | undefined): boolean {
  return value === undefined || (isObject(value) && Object.keys(value).length === 0);
}
