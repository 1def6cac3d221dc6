import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentContext } from "../runtime/context.ts";
import type { Decoder } from "./decode.ts";
import { queryToc } from "./toc/tocReader.ts";

// pg_restore's own words for an archive: the lines of `--list` are PrintTOCSummary, the comments of `--verbose --file=-`
// are _printTocEntry of PostgreSQL 17's pg_backup_archiver.c.

/** One entry of an archive's table of contents. */
export interface ArchiveItem {
  /** Its number, by which `pg_restore --use-list` and its errors name it. */
  readonly id: number;
  /** Oid of the object; for the rows of a table, the table's. */
  readonly oid: number;
  /** `TABLE`, `FK CONSTRAINT`, `TABLE DATA`. */
  readonly type: string;
  /** Null: it lies in no schema. Unknown for rows and large objects, and null there too. */
  readonly schema: string | null;
  /** `posts posts_uid_fkey`; for rows and large objects all that the list has of it. */
  readonly name: string;
  /** Empty: it has none of its own, or owners are left out. */
  readonly owner: string;
  /** Numbers of the entries that it needs. */
  readonly needs: readonly number[];
  /** Statements that it stands for; empty for rows and large objects. */
  readonly sql: string;
  /** Settings that pg_restore makes before these statements. */
  readonly settings: string;
}

/** What an archive holds. */
export interface ArchiveContents {
  /** Statements in front of everything. */
  readonly preamble: string;
  /** In the order in which `pg_restore` makes them. */
  readonly items: readonly ArchiveItem[];
  /** Owners of the large objects. */
  readonly largeObjectOwners: ReadonlySet<string>;
  /** The lines of `--list`, for a list of one's own. */
  readonly lines: ReadonlyMap<number, string>;
}

/** Entries that hold rows or large objects, whose content stands behind the table of contents. */
const DATA = /^(TABLE DATA|BLOBS|BLOB|BLOB METADATA|LARGE OBJECTS?)\b/;
const LINE = /^(\d+); (\d+) (\d+) (.*)$/gm;
const LARGE_OBJECT = /^BLOB(?: METADATA)? - \S+ (.*)$/;
const HEADER =
  /\n--\n-- TOC entry (\d+) \(class \d+ OID (\d+)\)\n(?:-- Dependencies:([ \d]*)\n)?-- Name: (.*); Type: ([A-Z ]+); Schema: (.*); Owner: (.*?)(?:; Tablespace: .*)?\n(?:-- Data Pos: \d+\n)?--\n\n/g;
/** Settings of the next entry stand behind the statements of the one before. */
const TRAILING_SETTINGS = /(?:\n+SET default_[a-z_]+ = [^\n]*;)+\n*$/;
/** Commands of psql, which is not the one that reads this, and the encoding: what was read of the archive is text by now. */
const NOT_FOR_US = /^(?:\\.*|SET client_encoding = .*;)$/gm;

/**
 * Reads what an archive holds; of the object only its start is read.
 * @param withOwners false: without owners and grants
 * @returns undefined when the table of contents cannot be read; reading the whole object shows better why
 * @throws Problem as `queryToc` does
 */
export async function readContents(
  context: Pick<AgentContext, "store" | "signal">,
  key: string,
  decoder: Decoder,
  { withOwners }: { readonly withOwners: boolean },
): Promise<ArchiveContents | undefined> {
  const list = await queryToc(context, key, decoder, ["--list"]);
  if (list === undefined) return undefined;
  const definitions = [...list.matchAll(LINE)]
    .filter(([, , , , rest = ""]) => !DATA.test(rest))
    .map(([line]) => line);
  const folder = await mkdtemp(join(tmpdir(), "contents-"));
  try {
    const file = join(folder, "list");
    await writeFile(file, `${definitions.join("\n")}\n`, { mode: 0o600 });
    const sql = await queryToc(context, key, decoder, [
      "--verbose",
      "--file=-",
      `--use-list=${file}`,
      ...(withOwners ? [] : ["--no-owner", "--no-acl"]),
    ]);
    return sql === undefined ? undefined : parseArchive(list, sql);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param list what `pg_restore --list` prints
 * @param sql what `pg_restore --verbose --file=-` prints of everything but rows and large objects
 */
export function parseArchive(list: string, sql: string): ArchiveContents {
  const lines = new Map<number, string>();
  const data: ArchiveItem[] = [];
  const largeObjectOwners = new Set<string>();
  for (const [line, id, , oid, rest = ""] of list.matchAll(LINE)) {
    lines.set(Number(id), line);
    const owner = LARGE_OBJECT.exec(rest)?.[1];
    if (owner !== undefined && owner !== "") largeObjectOwners.add(owner);
    const type = DATA.exec(rest)?.[1];
    if (type === undefined) continue;
    const name = rest.slice(type.length + 1);
    const common = { schema: null, owner: "", needs: [], sql: "", settings: "" };
    data.push({ id: Number(id), oid: Number(oid), type, name, ...common });
  }
  const { preamble, items } = parseDefinitions(sql, lines);
  return { preamble, items: [...items, ...data], largeObjectOwners, lines };
}

function parseDefinitions(sql: string, lines: ReadonlyMap<number, string>) {
  const seen = new Set<number>();
  // A function's own text may hold what looks like a header: each entry stands there once.
  const headers = [...sql.matchAll(HEADER)].filter(([, id]) => {
    const known = lines.has(Number(id)) && !seen.has(Number(id));
    seen.add(Number(id));
    return known;
  });
  const end = sql.search(/\n(?:-- Completed on .*\n\n)?--\n-- PostgreSQL database dump complete\n/);
  let settings = "";
  const cut = (from: number, to: number) => {
    const text = sql.slice(from, to);
    const trailing = TRAILING_SETTINGS.exec(text)?.[0] ?? "";
    const own = { sql: text.slice(0, text.length - trailing.length).trim(), settings };
    settings = trailing.trim();
    return own;
  };
  const last = end === -1 ? sql.length : end;
  const preamble = cut(0, headers[0]?.index ?? last).sql.replace(NOT_FOR_US, "");
  const items = headers.map((header, at): ArchiveItem => {
    const [text, id, oid, needs = "", name = "", type = "", schema = "", owner = ""] = header;
    return {
      id: Number(id),
      oid: Number(oid),
      type,
      schema: schema === "-" ? null : schema,
      name,
      owner: owner === "-" ? "" : owner,
      needs: needs.split(" ").filter(Boolean).map(Number),
      ...cut(header.index + text.length, headers[at + 1]?.index ?? last),
    };
  });
  return { preamble, items };
}

/** The same for a server that lacks tablespaces of it, as `pg_restore --no-tablespaces` makes it. */
export function withoutTablespaces(contents: ArchiveContents): ArchiveContents {
  const plain = (settings: string) =>
    settings.replace(/^SET default_tablespace = .*;$/gm, "").trim();
  const items = contents.items.map((item) => ({ ...item, settings: plain(item.settings) }));
  return { ...contents, items };
}

/** What an entry is, for a sentence: `FK CONSTRAINT public.posts posts_uid_fkey`. */
export function describeItem({ type, schema, name }: ArchiveItem): string {
  return `${type} ${schema === null ? "" : `${schema}.`}${name}`;
}

/** Numbers of these entries and of all that need them, directly or not. */
export function withDependents(
  items: readonly ArchiveItem[],
  ids: Iterable<number>,
): ReadonlySet<number> {
  const dependents = new Map<number, number[]>();
  for (const { id, needs } of items) {
    for (const need of needs) dependents.set(need, [...(dependents.get(need) ?? []), id]);
  }
  const found = new Set<number>(ids);
  // A set yields what is added to it while it is walked through.
  for (const id of found) for (const dependent of dependents.get(id) ?? []) found.add(dependent);
  return found;
}
