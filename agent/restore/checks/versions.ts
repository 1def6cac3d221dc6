import type pg from "pg";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import { readClientVersion, readServer } from "../../postgres/connection.ts";

/**
 * Refuses what server, backup and this image's programs cannot do together.
 * @throws Problem that names the versions
 */
export async function requireVersions(
  maintenance: pg.Client,
  manifest: Manifest | null,
): Promise<void> {
  const server = await readServer(maintenance);
  const tool = await readClientVersion("pg_restore");
  // From 17 on it begins with SET transaction_timeout, which an older server does not know.
  if (tool.major >= 17 && server.major < 17) {
    throw new Problem(
      `this image has ${tool.line}, which cannot restore into PostgreSQL ${server.version}. Use the image built for PostgreSQL ${server.major}.`,
    );
  }
  if (manifest === null) return;
  if (server.major < manifest.server.major) {
    throw new Problem(
      `the backup is of PostgreSQL ${manifest.server.version}, this server runs ${server.version}. Restore into PostgreSQL ${manifest.server.major} or newer.`,
    );
  }
  const dumpMajor = Number(/(\d+)/.exec(manifest.pgDump)?.[1]);
  if (tool.major < dumpMajor) {
    throw new Problem(
      `the backup was made by ${manifest.pgDump}, this image has ${tool.line}. Use the image built for PostgreSQL ${dumpMajor} or newer.`,
    );
  }
}
