import { Problem } from "../../../common/problem.ts";

/** Every table of a database with the number of its rows, as psql prints them with `--tuples-only --no-align`. */
export const ROW_COUNTS = `
  SELECT format('%I.%I', n.nspname, c.relname), (xpath('/row/c/text()',
    query_to_xml(format('SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  ORDER BY 1`;

/** @throws Problem when a copy does not hold what its source holds */
export function requireEqualRows(source: readonly string[], copy: readonly string[]): void {
  const there = new Set(copy);
  const [first] = source.filter((line) => !there.has(line));
  if (first === undefined && source.length === copy.length) return;
  const [table = "", rows = ""] = (first ?? "").split("|");
  throw new Problem(
    first === undefined
      ? "what arrived has more tables than what was sent."
      : `what arrived is not what was sent: ${table} had ${rows} rows.`,
  );
}
