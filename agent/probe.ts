import type { Store } from "../storage/client.ts";
import { probeWrite } from "../storage/probe.ts";
import type { AgentContext } from "./context.ts";
import { ofCopysStore } from "./copy.ts";
import { checkClientVersion, connect, readClientVersion, readServer } from "./database.ts";
import { databasesOf } from "./databases.ts";
import { extraOptions } from "./dump.ts";
import { dueAfter } from "./schedule.ts";

/**
 * Tries once, at boot, everything that a backup will need, and leaves nothing behind.
 * @throws Problem that names the first thing that does not work
 */
export async function probe({ settings, store, copy, report }: AgentContext): Promise<void> {
  if (settings.schedule !== undefined) {
    const due = dueAfter(settings.schedule, new Date(), undefined, process.env["TZ"]);
    report.line(`schedule  "${settings.schedule}", next backup ${due.toISOString()}`);
  }
  extraOptions(settings.postgres.dumpOptions);
  for (const database of await databasesOf(settings)) {
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
  await probeWrite(copy.store).catch((error: unknown) => {
    throw ofCopysStore(error);
  });
  const rhythm = copy.every === undefined ? "each backup" : `a backup "${copy.every}"`;
  report.line(`copy      ${nameOf(copy.store)}, an upload was begun and dropped; of ${rhythm}`);
}

function nameOf({ address }: Store): string {
  return `s3://${address.bucket}/${address.prefix}`;
}
