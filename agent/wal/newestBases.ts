import { type Base, baseSchema } from "../../common/contracts/pointInTime.ts";
import { baseKey, parsePointInTimeKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import { isBelieved, parseRecord } from "../../storage/catalogue/signedRecord.ts";
import { isDenied } from "../../storage/s3/errors.ts";
import { readWhole } from "../../storage/s3/objectStore.ts";
import { signingKeysOf } from "../archive/trust.ts";
import type { AgentContext } from "../runtime/context.ts";

/** A commit mark is some hundred bytes. */
const LARGEST_MARK = 64 * 1024;

/**
 * The newest base backups of a chain that count, back to the newest whole one.
 * @returns the newest first; undefined: the key may not look
 */
export async function newestBases(
  { settings, store }: Pick<AgentContext, "settings" | "store">,
  chain: string,
): Promise<Base[] | undefined> {
  const { prefix } = store.address;
  const keys = signingKeysOf(settings);
  const folder = baseKey(prefix, { chain, stamp: "" }).slice(0, -".json".length);
  try {
    const stamps: string[] = [];
    for await (const { key } of store.list(folder)) {
      const parsed = parsePointInTimeKey(prefix, key);
      if (parsed?.kind === "base") stamps.push(parsed.stamp);
    }
    const found: Base[] = [];
    for (const stamp of stamps.toSorted().reverse()) {
      const body = await store.get(baseKey(prefix, { chain, stamp }));
      const text = String(await readWhole(body, LARGEST_MARK));
      const read = parseRecord(text, baseSchema, keys, "base backup");
      if (read === undefined || !isBelieved(read)) continue;
      found.push(read.record);
      if (read.record.parent === null) break;
    }
    return found;
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}
