import { setTimeout as sleep } from "node:timers/promises";
import { isDamagedOnTheWay } from "../s3/errors.ts";

const TRIES = 4;
const PAUSE_MS = 200;

/**
 * Sends a request again that arrived damaged, up to four times in all: the service compares it with its checksum or its
 * signed digest, and keeps nothing of it. The SDK does not, since it takes each status of 400 for a mistake of the caller.
 */
export async function retriedWhenDamaged<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      if (!isDamagedOnTheWay(error) || tries === TRIES) throw error;
    }
    await sleep(PAUSE_MS * tries);
  }
}
