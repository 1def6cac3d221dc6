import { dueAfter } from "../common/schedule/nextRun.ts";
import type { ObjectStore } from "../storage/s3/objectStore.ts";
import { probeWrite } from "../storage/s3/writeProbe.ts";
import { parseExtraOptions } from "./backup/pgDump.ts";
import {
  checkClientVersion,
  connect,
  readClientVersion,
  readServer,
} from "./postgres/connection.ts";
import { selectDatabases } from "./postgres/databases.ts";
import type { AgentContext } from "./runtime/context.ts";

/**
 * Tries once, at boot, everything that a backup will need, and leaves nothing behind.
 * @throws Problem that names the first thing that does not work
 */
export async function probe({ settings, store, copy, report }: AgentContext): Promise<void> {
  if (settings.schedule !== undefined) {
    const due = dueAfter(settings.schedule, new Date(), { timezone: process.env["TZ"] });
    report.line(`schedule  "${settings.schedule}", next backup ${due.toISOString()}`);
  }
  parseExtraOptions(settings.postgres.dumpOptions);
  for (const database of await selectDatabases(settings)) {
    const client = await connect(settings.postgres, database);
    try {
      const server = await readServer(client);
      const pgDump = await readClientVersion("pg_dump");
      checkClientVersion(pgDump, server);
      report.line(`database  "${database}", PostgreSQL ${server.version}, ${pgDump.line}`);
    } finally {
      await client.end();
    }
  }
  await probeWrite(store);
  report.line(`bucket    ${nameOf(store)}, an upload was begun and dropped`);
  if (copy === undefined) return;
  if (copy.fault !== undefined) throw copy.fault;
  await probeWrite(copy.store);
  const rhythm = copy.every === undefined ? "each backup" : `a backup "${copy.every}"`;
  report.line(`copy      ${nameOf(copy.store)}, an upload was begun and dropped; of ${rhythm}`);
}

function nameOf({ address }: ObjectStore): string {
  return `s3://${address.bucket}/${address.prefix}`;
}
