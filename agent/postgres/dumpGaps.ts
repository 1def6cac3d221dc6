import type pg from "pg";

/** An entry of a dump: the catalog that its object stands in, and the object's oid there. */
export interface DumpedObject {
  readonly catalog: number;
  readonly oid: number;
}

const SHOWN = 5;

/**
 * What is in a dump and cannot be made, because what it needs is not: a foreign key on a table that the options leave out, a view
 * on one, a column of a type whose extension is left out. By pg_depend, where a view stands as its rule, a check and a default as a
 * part of the table; an object of an extension is there when the extension is. Partitions are made without their parent too.
 * @param client connection to the database that is dumped
 * @returns a sentence without its full stop for each of the first few, and how many more there are
 */
export async function findDumpGaps(
  client: pg.Client,
  dumped: readonly DumpedObject[],
): Promise<string[]> {
  const { rows } = await client.query<{ needy: string; needed: string }>(
    `WITH present (catalog, oid) AS (SELECT * FROM unnest($1::oid[], $2::oid[])),
     needs AS (
       SELECT DISTINCT
         CASE WHEN w.oid IS NOT NULL OR k.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.classid END AS catalog,
         coalesce(w.ev_class, k.conrelid, d.objid) AS oid,
         CASE WHEN e.refobjid IS NOT NULL THEN e.refclassid
              WHEN r.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.refclassid END AS needed_catalog,
         coalesce(e.refobjid, r.oid, a.oid, d.refobjid) AS needed_oid
       FROM pg_depend d
       LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
       LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
                                 AND k.contype = 'c' AND k.conrelid <> 0
       LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
       LEFT JOIN pg_class r ON r.oid = t.typrelid AND r.relkind <> 'c'
       LEFT JOIN pg_type a ON a.typarray = t.oid
       LEFT JOIN pg_depend e ON e.classid = d.refclassid AND e.objid = coalesce(a.oid, d.refobjid)
                             AND e.deptype = 'e'
       WHERE d.deptype = 'n' AND d.refobjid >= 16384
         AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass)
     )
     SELECT pg_describe_object(n.catalog, n.oid, 0) AS needy,
            pg_describe_object(n.needed_catalog, n.needed_oid, 0) AS needed
     FROM needs n
     JOIN present p ON p.catalog = n.catalog AND p.oid = n.oid
     LEFT JOIN pg_class i ON n.needed_catalog = 'pg_class'::regclass AND i.oid = n.needed_oid
     WHERE (n.needed_catalog, n.needed_oid) <> (n.catalog, n.oid)
       AND NOT EXISTS (SELECT FROM present h WHERE h.catalog = n.needed_catalog AND h.oid = n.needed_oid)
       AND coalesce(i.relkind, 'r') NOT IN ('i', 'I', 't')
     ORDER BY 1, 2`,
    [dumped.map(({ catalog }) => catalog), dumped.map(({ oid }) => oid)],
  );
  const shown = rows.slice(0, SHOWN).map(({ needy, needed }) => `${needy} needs ${needed}`);
  return rows.length > SHOWN ? [...shown, `and ${rows.length - SHOWN} more`] : shown;
}
