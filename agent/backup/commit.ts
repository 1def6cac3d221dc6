import { type Manifest, totalRows } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { manifestKey } from "../../storage/catalogue/objectKeys.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { type Report, readableBytes } from "../runtime/reporter.ts";
import type { Place } from "./destinations.ts";

/**
 * Makes a stored dump count: writes its manifest, and says so.
 * @throws Problem when it cannot be written; then the dump does not count
 */
export async function record(
  report: Report,
  { name, store }: Pick<Place, "name" | "store">,
  manifest: Manifest,
): Promise<void> {
  const { database, takenAt, object, suspect, tier, tables, durationMs } = manifest;
  // What shrank is known only when it lies where good ones do; its manifest's folder is what makes it a suspect one.
  const folder = suspect === null ? tier : "suspect";
  const stamp = takenAt.replace(/Z$/, "");
  await write(store, manifestKey(store.address.prefix, database, stamp, folder), manifest);
  report.line(
    `${name === "copy" ? "Copy" : "Backup"} ${suspect === null ? "complete" : "stored as suspect"}: ${readableBytes(object.bytes)}, ${tables.length} tables, ${totalRows(manifest)} rows, ${(durationMs / 1000).toFixed(1)} s`,
  );
  report.event({ event: name === "copy" ? "copied" : "backup", manifest });
}

async function write(store: ObjectStore, key: string, manifest: Manifest): Promise<void> {
  try {
    await putNew(store, key, `${JSON.stringify(manifest, null, 2)}\n`, "application/json");
  } catch (error) {
    throw new Problem(
      `the dump was stored as ${manifest.object.key}, but its manifest ${key} could not be written (${error instanceof Error ? error.message : String(error)}). Without it this backup does not count; take another one.`,
      { cause: error },
    );
  }
}
