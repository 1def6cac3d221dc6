import { tablesLike } from "../../../common/contracts/tablePattern.ts";
import { Problem } from "../../../common/problem.ts";
import { type ArchiveContents, type ArchiveItem, withDependents } from "../../archive/contents.ts";

/** Which part of a backup is wanted. */
export interface Wanted {
  /** Only what lies in these schemas. */
  readonly schemas?: readonly string[];
  /** Everything but these tables, `events` or `audit.log`, with `*` for any characters. */
  readonly excludeTables?: readonly string[];
  /** No rows, large objects or positions of sequences. @default false */
  readonly schemaOnly?: boolean;
}

/** What of an archive is restored. */
export interface Selection {
  /** Numbers of the entries that are not. */
  readonly leftOut: ReadonlySet<number>;
  /** The tables among them, `schema.name`. */
  readonly tables: ReadonlySet<string>;
  /** What goes with them because it needs them, for a sentence: `VIEW public.totals`. */
  readonly alongWith: readonly string[];
  /** Whether tables and indexes keep their tablespaces; else they lie where the database does. */
  readonly tablespaces: boolean;
  /** False: nothing that is restored has any rows. */
  readonly rows: boolean;
}

export const EVERYTHING: Selection = {
  leftOut: new Set(),
  tables: new Set(),
  alongWith: [],
  tablespaces: true,
  rows: true,
};

/**
 * Chooses entries of an archive. What needs something that is left out cannot be made, and is left out too.
 * @throws Problem for a schema or a table that the backup does not have
 */
export function select(contents: ArchiveContents, wanted: Wanted): Selection {
  const chosen = selectObjects(contents, wanted);
  if (wanted.schemaOnly !== true) return chosen;
  const data = contents.items.filter(isData).map(({ id }) => id);
  return { ...chosen, leftOut: new Set([...chosen.leftOut, ...data]), rows: false };
}

/** As `pg_restore --schema-only` has it (_tocEntryRequired of PostgreSQL 17's pg_backup_archiver.c): what is said of a large object goes with it. */
function isData({ type, name }: ArchiveItem): boolean {
  return (
    /^(?:TABLE DATA|SEQUENCE SET|BLOBS?|BLOB METADATA)$/.test(type) ||
    (/^(?:ACL|COMMENT|SECURITY LABEL)$/.test(type) && name.startsWith("LARGE OBJECT"))
  );
}

function selectObjects({ items }: ArchiveContents, wanted: Wanted): Selection {
  const { schemas = [], excludeTables = [] } = wanted;
  if (schemas.length === 0 && excludeTables.length === 0) return EVERYTHING;
  const asked = new Set([
    ...(schemas.length === 0 ? [] : outsideOf(items, schemas)),
    ...excludeTables.flatMap((pattern) => tablesNamed(items, pattern)),
  ]);
  const leftOut = new Set(withDependents(items, asked));
  const tables = items.filter(({ id, type }) => leftOut.has(id) && type === "TABLE");
  const oids = new Set(tables.map(({ oid }) => oid));
  for (const { id, oid, type } of items)
    if (type === "TABLE DATA" && oids.has(oid)) leftOut.add(id);
  return {
    ...EVERYTHING,
    leftOut,
    tables: new Set(tables.map(nameOf)),
    alongWith: items
      .filter(
        ({ id, type }) => leftOut.has(id) && !asked.has(id) && !/DATA$|^ACL$|^COMMENT$/.test(type),
      )
      .filter(({ type }) => !OWN_PARTS.test(type))
      .map((item) => `${item.type} ${nameOf(item)}`),
  };
}

/** Entries with rows of foreign tables: a restore would write them into the table's own server, which still has them. */
export function rowsElsewhere({ items }: ArchiveContents): { id: number; table: string }[] {
  const foreign = new Map(
    items.filter(({ type }) => type === "FOREIGN TABLE").map((item) => [item.oid, nameOf(item)]),
  );
  return items.flatMap(({ id, oid, type }) => {
    const table = foreign.get(oid);
    return type === "TABLE DATA" && table !== undefined ? [{ id, table }] : [];
  });
}

/** Parts of a table, which go with it without a word. */
const OWN_PARTS =
  /^(?:CONSTRAINT|DEFAULT|INDEX|SEQUENCE.*|TRIGGER|POLICY|ROW SECURITY|STATISTICS|TABLE ATTACH)$/;

const nameOf = ({ schema, name }: ArchiveItem) => (schema === null ? name : `${schema}.${name}`);

/** What lies outside of the schemas and is not needed by what lies inside. */
function outsideOf(items: readonly ArchiveItem[], schemas: readonly string[]): number[] {
  const known = new Set(items.flatMap(({ schema }) => schema ?? []));
  const made = new Set(items.filter(({ type }) => type === "SCHEMA").map(({ name }) => name));
  for (const schema of schemas) {
    if (known.has(schema) || made.has(schema)) continue;
    const there = [...new Set([...known, ...made])].sort().map((name) => `"${name}"`);
    throw new Problem(
      `--schema ${schema}: the backup has no schema of this name. It has ${there.join(", ") || "none"}.`,
    );
  }
  const wanted = new Set(schemas);
  const byId = new Map(items.map((item) => [item.id, item]));
  const oids = new Set(
    items
      .filter(({ type, schema }) => type === "TABLE" && wanted.has(schema ?? ""))
      .map((t) => t.oid),
  );
  const chosen = new Set(
    items
      .filter(({ type, schema, name, oid }) => {
        if (type === "TABLE DATA") return oids.has(oid);
        if (schema !== null) return wanted.has(schema);
        return type === "SCHEMA"
          ? wanted.has(name)
          : wanted.has(/^SCHEMA (.*)$/.exec(name)?.[1] ?? "");
      })
      .map(({ id }) => id),
  );
  // Extensions, languages and what else lies in no schema come along where something that is chosen needs them.
  for (const id of chosen) {
    for (const need of byId.get(id)?.needs ?? [])
      if (byId.get(need)?.schema === null) chosen.add(need);
  }
  return items.filter(({ id }) => !chosen.has(id)).map(({ id }) => id);
}

function tablesNamed(items: readonly ArchiveItem[], pattern: string): number[] {
  const tables = items.filter(({ type }) => /^(?:FOREIGN )?TABLE$/.test(type));
  const found = tables.filter(tablesLike(pattern));
  if (found.length > 0) return found.map(({ id }) => id);
  const some = tables.slice(0, 10).map(nameOf).join(", ");
  throw new Problem(
    `--exclude-table ${pattern}: the backup has no such table. It has ${some || "none"}${tables.length > 10 ? ` and ${tables.length - 10} more` : ""}.`,
  );
}
