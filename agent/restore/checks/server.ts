import type pg from "pg";
import { Problem } from "../../../common/problem.ts";

/**
 * A standby takes no writes, whatever is asked of it.
 * @throws Problem that says where to restore instead
 */
export async function requirePrimary(client: pg.Client): Promise<void> {
  const { rows } = await client
    .query<{ standby: boolean; primary: string | null }>(
      "SELECT pg_is_in_recovery() AS standby, current_setting('primary_conninfo', true) AS primary",
    )
    .catch(async () =>
      // Only a superuser, or a member of pg_read_all_settings, may read where the primary is.
      client.query<{ standby: boolean; primary: string | null }>(
        "SELECT pg_is_in_recovery() AS standby, NULL AS primary",
      ),
    );
  const [row] = rows;
  if (row?.standby !== true) return;
  const host = /(?:^|\s)host='?([^\s']+)/.exec(row.primary ?? "")?.[1];
  const where = host === undefined ? "" : ` (${host})`;
  throw new Problem(
    `this server is a standby, which takes no writes; restore on its primary${where}: set POSTGRES_HOST to it. Nothing was changed.`,
  );
}
