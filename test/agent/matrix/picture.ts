/** Everything that can be seen of a database, and what differs between two. */

/** A database as `pg_dump --create` prints it, statement by statement, with its data, and the rows of its materialized views. */
export interface Picture {
  /** By what the comment above it says: `Name: t; Type: TABLE; Schema: public`. */
  readonly parts: ReadonlyMap<string, readonly string[]>;
  /** `Name: ...` to the role that owns it. */
  readonly owners: ReadonlyMap<string, string>;
}

export interface Difference {
  /** `Name: t; Type: TABLE; Schema: public` */
  readonly part: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const HEADER =
  /^-- (?:Data for )?(Name: .*?; Type: .*?; Schema: .*?)(?:; Owner: (.*?))?(?:; Tablespace: .*)?$/;

/** Comments, a random token, and the settings of the session, which the script makes wherever it connects. */
const NOISE =
  /^(?:--.*|\\(?:(?:un)?restrict|connect|encoding) .*|SET (?:\w+_timeout|client_\w+|standard_conforming_strings|check_function_bodies|xmloption|row_security|default_table\w+) = .*|SELECT pg_catalog\.set_config\('search_path'.*|)$/;
const OWNER = / OWNER TO (\S+|"(?:[^"]|"")*");$/;

/** A policy's roles stand in the order of their numbers, which are the server's. */
const POLICY_ROLES = /(?<=^CREATE POLICY .* TO )\S+(?:, \S+)+(?= USING)/;
const sorted = (roles: string) => roles.split(", ").toSorted().join(", ");

/**
 * @param text of `pg_dump --create`; a token of its own stands in each `\restrict` line, and versions in comments
 * @param views digest of each materialized view's rows, by name: a dump has none of them
 */
export function pictureOf(text: string, views: Readonly<Record<string, string>>): Picture {
  const parts = new Map<string, string[]>();
  const owners = new Map<string, string>();
  let lines: string[] = [];
  const begin = (key: string) => {
    lines = parts.get(key) ?? [];
    parts.set(key, lines);
  };
  begin("Name: the session; Type: SETTINGS; Schema: -");
  for (const line of text.split("\n")) {
    const [, key, owner] = HEADER.exec(line) ?? [];
    if (key !== undefined) {
      begin(key);
      // Of what an extension has made only its grants are here; it belongs to whoever made the extension, which no dump carries.
      const isObject =
        owner !== undefined && owner !== "-" && owner !== "" && !key.includes("; Type: ACL;");
      if (isObject) owners.set(key, owner);
    } else if (OWNER.test(line)) {
      // Of a name with a line break in it this is the last line.
      owners.set(line.replace(OWNER, ""), OWNER.exec(line)?.[1] ?? "");
    } else if (!NOISE.test(line)) {
      lines.push(line.replace(POLICY_ROLES, sorted));
    }
  }
  for (const [name, digest] of Object.entries(views)) {
    parts.set(`Name: ${name}; Type: MATERIALIZED VIEW ROWS; Schema: -`, [digest]);
  }
  return { parts, owners };
}

export function differences(before: Picture, after: Picture): Difference[] {
  const all = new Set([...before.parts.keys(), ...after.parts.keys()]);
  return [...all].flatMap((part) => {
    const [old = [], now = []] = [before.parts.get(part), after.parts.get(part)];
    const text = (lines: readonly string[]) =>
      // A database's settings have no order that anything depends on.
      (OF_DATABASE.test(part) ? lines.toSorted() : lines).join("\n");
    return text(old) === text(now) ? [] : [{ part, before: old, after: now }];
  });
}

/** What belongs to another role than before, as `NAME: old -> new`. */
export function otherOwners(before: Picture, after: Picture): string[] {
  return [...before.owners].flatMap(([part, owner]) => {
    const now = after.owners.get(part);
    return now === undefined || now === owner ? [] : [`${part}: ${owner} -> ${now}`];
  });
}

/**
 * The differences of which nothing was said.
 * @param said what the restore has named as not restored, an entry each
 */
export function unannounced(found: readonly Difference[], said: readonly string[]): Difference[] {
  const text = said.join("\n");
  return found.filter((difference) => {
    const words = wordsOf(difference);
    return words.length === 0 || !words.every((word) => text.toLowerCase().includes(word));
  });
}

/** What has to be said, in small letters: the object's own name; of a database, whose name everybody says, each property that differs. */
function wordsOf({ part, before, after }: Difference): string[] {
  if (OF_DATABASE.test(part)) {
    const lost = before.filter((line) => !after.includes(line));
    return lost.map((line) => (PROPERTY.exec(line)?.slice(1).find(Boolean) ?? line).toLowerCase());
  }
  const [, name = ""] = /^Name: (.*?); Type: /.exec(part) ?? [];
  // `TABLE t`, `COLUMN t.c`, `FUNCTION f(integer)`: the last word names it.
  const object = name
    .replace(/\(.*\)$/, "")
    .split(/[ .]/)
    .at(-1);
  return object ? [object.toLowerCase()] : [];
}

/** Parts about the database itself. */
export const OF_DATABASE = /; Type: DATABASE|^Name: DATABASE /;
const PROPERTY =
  / SET "?([\w.]+)|(COMMENT)|(CONNECTION LIMIT)|IS_(TEMPLATE)|(?:TO|FROM) (\S+);|(ENCODING|LOCALE)/;

/** For a failing test: the first lines that differ. */
export function shown({ part, before, after }: Difference): string {
  const onlyIn = (lines: readonly string[], others: readonly string[]) => {
    const set = new Set(others);
    return lines.filter((line) => !set.has(line)).slice(0, 3);
  };
  const lost = onlyIn(before, after).map((line) => `  - ${line.slice(0, 300)}`);
  const fresh = onlyIn(after, before).map((line) => `  + ${line.slice(0, 300)}`);
  return [part, ...lost, ...fresh].join("\n");
}
