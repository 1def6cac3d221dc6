import { tablesLike } from "../../../common/contracts/tablePattern.ts";
import { Problem } from "../../../common/problem.ts";
import { type ArchiveContents, type ArchiveItem, withDependents } from "../../archive/contents.ts";

/** Which part of a backup is wanted. */
export interface Wanted {
  /** Only what lies in these schemas. */
  readonly schemas?: readonly string[];
  /** Only these tables, named as those below, with what they need; with `schemas` both. */
  readonly tables?: readonly string[];
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
  const { schemas = [], tables: named = [], excludeTables = [] } = wanted;
  if (schemas.length + named.length + excludeTables.length === 0) return EVERYTHING;
  const inSchemas = schemas.length === 0 ? new Set<number>() : insideOf(items, schemas);
  const { chosen, apart } = withTables(items, inSchemas, named);
  const asked = new Set([
    ...(schemas.length + named.length === 0 ? [] : idsOf(items).filter((id) => !chosen.has(id))),
    ...excludeTables.flatMap((pattern) => tablesNamed(items, pattern, "--exclude-table")),
  ]);
  const leftOut = new Set(withDependents(items, asked));
  const tables = items.filter(({ id, type }) => leftOut.has(id) && type === "TABLE");
  const oids = new Set(tables.map(({ oid }) => oid));
  for (const { id, oid, type } of items)
    if (type === "TABLE DATA" && oids.has(oid)) leftOut.add(id);
  // Made only because another table needs its definition.
  const filled = new Set(
    items.flatMap(({ id, oid, type }) => (type === "TABLE DATA" && !leftOut.has(id) ? [oid] : [])),
  );
  const bare =
    named.length === 0
      ? []
      : items.filter(
          ({ id, oid, type }) => type === "TABLE" && !leftOut.has(id) && !filled.has(oid),
        );
  return {
    ...EVERYTHING,
    leftOut,
    tables: new Set([...tables, ...bare].map(nameOf)),
    alongWith: [
      ...apart.map((item) => `${item.type} ${nameOf(item)}`),
      ...items
        .filter(
          ({ id, type }) =>
            leftOut.has(id) && !asked.has(id) && !/DATA$|^ACL$|^COMMENT$/.test(type),
        )
        .filter(({ type }) => !OWN_PARTS.test(type))
        .map((item) => `${item.type} ${nameOf(item)}`),
    ],
  };
}

const idsOf = (items: readonly ArchiveItem[]) => items.map(({ id }) => id);

/** What belongs to a table, and is made with it where it needs no other table. */
const OF_TABLE =
  /^(?:CONSTRAINT|CHECK CONSTRAINT|FK CONSTRAINT|DEFAULT|INDEX|INDEX ATTACH|TABLE ATTACH|SEQUENCE|SEQUENCE OWNED BY|SEQUENCE SET|TRIGGER|RULE|POLICY|ROW SECURITY|STATISTICS|STATISTICS DATA|ACL|COMMENT|SECURITY LABEL)$/;
const RELATION = /^(?:TABLE|FOREIGN TABLE|VIEW|MATERIALIZED VIEW)$/;

/**
 * Adds tables to what is chosen: with their partitions, rows, indexes and what else is theirs, and with what all of that needs.
 * @returns `apart`: what is theirs and cannot be made, since it needs a table that is not chosen
 */
function withTables(
  items: readonly ArchiveItem[],
  inSchemas: ReadonlySet<number>,
  patterns: readonly string[],
): { readonly chosen: ReadonlySet<number>; readonly apart: readonly ArchiveItem[] } {
  if (patterns.length === 0) return { chosen: inSchemas, apart: [] };
  const byId = new Map(items.map((item) => [item.id, item]));
  const needsOf = (ids: Iterable<number>) => {
    const all = new Set(ids);
    // A set that grows while it is walked through is walked to its end.
    for (const id of all)
      for (const need of byId.get(id)?.needs ?? []) if (byId.has(need)) all.add(need);
    return all;
  };
  const tables = new Set(patterns.flatMap((pattern) => tablesNamed(items, pattern, "--table")));
  const attached = items.filter(({ type }) => type === "TABLE ATTACH");
  for (const id of tables) {
    const parent = byId.get(id);
    for (const attach of attached) {
      if (attach.needs.includes(id) && !isSame(attach, parent))
        for (const need of attach.needs) tables.add(need);
    }
  }
  const oids = new Set(items.flatMap(({ id, oid }) => (tables.has(id) ? [oid] : [])));
  const chosen = new Set([...inSchemas, ...needsOf(tables)]);
  for (const { id, oid, type } of items) if (type === "TABLE DATA" && oids.has(oid)) chosen.add(id);
  const apart: ArchiveItem[] = [];
  const named = items.filter(({ id }) => tables.has(id));
  const parts = items.filter((item) => OF_TABLE.test(item.type) && isOwn(item, named));
  const seen = new Set<ArchiveItem>();
  for (let grown = true; grown; ) {
    grown = false;
    for (const part of parts) {
      if (
        seen.has(part) ||
        chosen.has(part.id) ||
        !part.needs.some((need) => chosen.has(need) && isOfTable(byId.get(need), tables))
      )
        continue;
      seen.add(part);
      const needed = needsOf([part.id]);
      const lacks = [...needed].some(
        (id) => !chosen.has(id) && RELATION.test(byId.get(id)?.type ?? ""),
      );
      // Of a partition's siblings, which the parent's own index leads to, nothing was asked for.
      if (lacks) apart.push(...(/INDEX|ATTACH/.test(part.type) ? [] : [part]));
      else for (const id of needed) chosen.add(id);
      grown = true;
    }
  }
  return { chosen, apart };
}

const isSame = (one: ArchiveItem, other: ArchiveItem | undefined) =>
  one.schema === other?.schema && one.name === other.name;

/** Whether a foreign key is one of a table that was asked for, and does not merely refer to it. */
function isOwn({ type, schema, name }: ArchiveItem, tables: readonly ArchiveItem[]): boolean {
  if (type !== "FK CONSTRAINT") return true;
  return tables.some((table) => table.schema === schema && name.startsWith(`${table.name} `));
}

/** Whether an entry is a table that was asked for, or a part of one: comments and grants on other things stay away. */
function isOfTable(item: ArchiveItem | undefined, tables: ReadonlySet<number>): boolean {
  return item !== undefined && (tables.has(item.id) || OF_TABLE.test(item.type));
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

/** What lies inside of the schemas, and what lies in none and is needed by it. */
function insideOf(items: readonly ArchiveItem[], schemas: readonly string[]): Set<number> {
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
  return chosen;
}

function tablesNamed(items: readonly ArchiveItem[], pattern: string, option: string): number[] {
  const tables = items.filter(({ type }) => /^(?:FOREIGN )?TABLE$/.test(type));
  const found = tables.filter(tablesLike(pattern));
  if (found.length > 0) return found.map(({ id }) => id);
  const some = tables.slice(0, 10).map(nameOf).join(", ");
  throw new Problem(
    `${option} ${pattern}: the backup has no such table. It has ${some || "none"}${tables.length > 10 ? ` and ${tables.length - 10} more` : ""}.`,
  );
}
