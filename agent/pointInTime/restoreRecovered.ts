import { join } from "node:path";
import { backup } from "../backup/backup.ts";
import { type RestoreOptions, restore } from "../restore/restore.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { AgentEvent } from "../runtime/reporter.ts";
import { RECOVERY } from "./fetch.ts";
import { FolderStore } from "./folderStore.ts";
import { recoveredServer } from "./recoveredServer.ts";

/**
 * Brings the context's database from a recovered server into the live one: dumped, restored into a new database, compared and
 * swapped by the very code that does it with backups.
 * @param folder of the recovery, which has the socket of the recovered server, and takes its dump
 * @param moment to which it was recovered: what the result names
 * @returns as `restore`
 * @throws Problem
 */
export async function restoreRecovered(
  context: AgentContext,
  { folder, moment }: { readonly folder: string; readonly moment: string },
  options: Omit<RestoreOptions, "wanted">,
): Promise<{ readonly complete: boolean }> {
  const store = new FolderStore(join(folder, RECOVERY.dump), context.store.address);
  const { copy: _, ...alone } = context;
  // The dump never leaves the host, and is gone with the recovery: it needs no key.
  const { encryption: __, copy: ___, keep: ____, ...settings } = context.settings;
  const here = { ...settings, tiers: false, verify: false };
  const recovered = recoveredServer(settings.postgres, folder);
  await backup({ ...alone, store, settings: { ...here, postgres: recovered } }, { accept: true });
  const { report } = context;
  // As the stamp of a backup is written.
  const from = moment.replace(/(\.000)?Z$/, "");
  const event = (event: AgentEvent) =>
    report.event(event.event === "restored" ? { ...event, from } : event);
  return restore(
    { ...alone, store, settings: here, report: { ...report, event } },
    { ...options, wanted: "latest" },
  );
}
