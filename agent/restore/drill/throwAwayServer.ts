import type pg from "pg";
import { Problem } from "../../../common/problem.ts";

/**
 * Makes sure that a drill fills a server of its own: it makes roles and databases as it likes, which no live server may get.
 * @throws Problem when the server has any database but the one that every server has
 */
export async function requireThrowAway(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ datname: string }>(
    "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1",
  );
  if (rows.length === 0) return;
  const names = rows.map(({ datname }) => `"${datname}"`).join(", ");
  throw new Problem(
    `a drill wants a server of its own, and this one has the database ${names}. Run kamal-postgres-backup drill, which starts one, or restore with --into NAME beside the live database. Nothing was changed.`,
  );
}
