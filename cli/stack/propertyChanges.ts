/** One property that is not as declared. */
export interface Change {
  /** `versioningConfiguration.status`, `rules["expire"].expiration.days` */
  readonly path: string;
  readonly declared: string;
  readonly found: string;
}

/** Compares the properties of a resource leaf by leaf. Secret values are never shown. */
export function changesBetween(
  declared: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): Change[] {
  const [was, is] = [leaves(declared), leaves(found)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((path) => !sameLeaf(was.get(path), is.get(path)))
    .map((path) => ({
      path,
      declared: showValue(was.get(path)),
      found: showValue(is.get(path)),
    }));
}

/** A value in a table. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A provider that answers "false" where nothing was declared has found no difference. */
function sameLeaf(was: unknown, is: unknown): boolean {
  const nothing = (value: unknown) => value === undefined || value === null;
  const empty = (value: unknown) => nothing(value) || value === "" || value === false;
  if (nothing(was) || nothing(is)) return empty(was) && empty(is);
  return was === is;
}

/** Key under which the engine marks a secret or an asset. */
const signature = "4dabf18193072939515e22adb298388d";

function leaves(value: unknown, path = "", into = new Map<string, unknown>()) {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      const id = (item as { id?: unknown } | null)?.id;
      // A rule is known by its id wherever it stands.
      leaves(item, `${path}[${typeof id === "string" ? JSON.stringify(id) : i}]`, into);
    }
  } else if (typeof value === "object" && value !== null) {
    if (signature in value) return into.set(path, "[secret]");
    for (const [key, item] of Object.entries(value)) {
      // The engine's own notes and a dynamic resource's code.
      if (!key.startsWith("__")) leaves(item, path === "" ? key : `${path}.${key}`, into);
    }
  } else {
    into.set(path, value);
  }
  return into;
}
