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

/** Comments, a random token, and the state that the script sets before whatever statement comes next. */
const NOISE =
  /^(?:--.*|\\(?:(?:un)?restrict|connect|encoding) .*|SET default_table(?:space|_access_method) = .*|)$/;

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
      if (owner !== undefined && owner !== "-" && owner !== "") owners.set(key, owner);
    } else if (/^ALTER .* OWNER TO /.test(line)) {
      owners.set(`${line.replace(/ OWNER TO .*$/, "")}`, line.replace(/^.* OWNER TO (.*);$/, "$1"));
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
    return old.join("\n") === now.join("\n") ? [] : [{ part, before: old, after: now }];
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
 * @param said everything that the restore has told: notices, lists, events
 */
export function unannounced(found: readonly Difference[], said: string): Difference[] {
  return found.filter(({ part }) => {
    const [, name = ""] = /^Name: (.*?); Type: /.exec(part) ?? [];
    // `TABLE t`, `COLUMN t.c`, `FUNCTION f(integer)`: the object's own name is enough to find it by.
    const object = name
      .replace(/\(.*\)$/, "")
      .split(/[ .]/)
      .at(-1);
    return object === undefined || object === "" || !said.includes(object);
  });
}

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
