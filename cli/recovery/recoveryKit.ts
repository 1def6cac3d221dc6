import { writeFile } from "node:fs/promises";
import { Problem } from "../../common/problem.ts";
import { listDatabases } from "../../storage/catalogue/catalogue.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { countingDrills } from "../../storage/catalogue/drillRecords.ts";
import { listJudged, type Trust } from "../../storage/catalogue/judgeOrigin.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { bucketTrust, withReader } from "../backups/bucketSource.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { writeFault } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import { type KitBackup, kitOf } from "./kit.ts";
import { kitHtml, kitText } from "./kitPage.ts";

export interface RecoveryKitOptions {
  /** File for the page as HTML. @default the page is printed as text */
  readonly html?: string;
}

/**
 * Prints the page for the day on which only the bucket is left: where the backups are, and the commands with stock tools for
 * this very stack. The bucket is read with the key that the page names, so that it is known to read.
 * @throws Problem when the bucket cannot be read, or the file cannot be written
 */
export async function recoveryKit(
  session: Session,
  stack: StackChoice,
  { html }: RecoveryKitOptions,
): Promise<void> {
  const { backup, screen } = session;
  screen.waiting("reading the backups in the bucket");
  const trust = await bucketTrust(session, stack);
  const kit = await withReader(session, stack, async (store, { accessKeyId }) => {
    const names = session.databases ?? (await listDatabases(store));
    const backups: KitBackup[] = [];
    for (const name of names) backups.push(await newestOf(store, name, trust));
    return kitOf(backup, accessKeyId, backups, new Date());
  });
  screen.clear();
  if (html === undefined) {
    if (!screen.json) screen.terminal.out.write(kitText(kit));
  } else {
    await writeFile(html, kitHtml(kit)).catch((error: unknown) => {
      throw new Problem(`--html ${html} cannot be written: ${writeFault(error)}.`, {
        cause: error,
      });
    });
    screen.line(`${paint.good("Wrote")} ${html}. Print it, and fill in what no program knows.`);
  }
  screen.document({ ...kit, facts: Object.fromEntries(kit.facts) });
}

async function newestOf(store: ObjectStore, database: string, trust: Trust): Promise<KitBackup> {
  const entries = await listJudged(store, database, trust);
  const newest = countingBackups(entries).find(({ kind }) => kind === "ours");
  const manifest = newest && (await readManifest(store, newest));
  return { database, newest, manifest, drills: await countingDrills(store, database, trust.keys) };
}
