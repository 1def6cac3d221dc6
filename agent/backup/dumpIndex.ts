import { createHash } from "node:crypto";
import type { ArchiveIndex, Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { indexKey } from "../../storage/catalogue/objectKeys.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import type { AgentContext } from "../runtime/context.ts";

/** The index of a dump as its manifest has it. */
export type StoredIndex = NonNullable<Manifest["index"]>;

/** So many parts fit into a manifest, of which lists read a thousand. */
const MOST_IN_MANIFEST = 1_000;

/**
 * Puts a large index beside its dump; a small one belongs into the manifest as it is. A backup without an index is as good,
 * and is only slower to restore, so a failure is a warning.
 * @param dump key of the dump
 */
export async function storeIndex(
  { report, signal }: Pick<AgentContext, "report" | "signal">,
  store: ObjectStore,
  dump: string,
  index: ArchiveIndex | undefined,
): Promise<StoredIndex | undefined> {
  if (index === undefined || index.blocks.length <= MOST_IN_MANIFEST) return index;
  const key = indexKey(dump);
  const bytes = Buffer.from(`${JSON.stringify(index)}\n`);
  try {
    await putNew(store, key, bytes, "application/json");
  } catch (error) {
    if (signal.aborted || !(error instanceof Problem)) throw error;
    report.warn(`the backup has no index, so a restore reads it whole: ${error.message}`);
    return undefined;
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { object: { key, bytes: bytes.length, sha256 } };
}
