import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import type { Reachable, RecoveryPlan } from "../../common/contracts/pointInTime.ts";
import { lsnText } from "../catalogue/walPosition.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import { chooseRecovery, type Recovery } from "./chooseRecovery.ts";
import { readChains } from "./readChains.ts";
import { notReachable } from "./refusal.ts";
import { reachOf } from "./windows.ts";

/**
 * What can be recovered from the bucket.
 * @param keys by which chains and bases are signed; none: every one counts
 * @param moment to be planned, ISO 8601 in UTC, or `latest` @default none
 * @throws Problem when the key may not list or read
 */
export async function readReachable(
  store: ObjectStore,
  keys: readonly SigningKey[],
  moment?: string,
): Promise<Reachable> {
  const chains = await readChains(store, keys, moment);
  const reach = reachOf(chains);
  const recovery = moment === undefined ? undefined : chooseRecovery(chains, moment);
  const stamps = new Set(reach.windows.flatMap(({ bases }) => bases));
  const newestBase = chains
    .flatMap(({ bases }) => bases.filter(({ stamp }) => stamps.has(stamp)))
    .toSorted((a, b) => Date.parse(b.endedAt) - Date.parse(a.endedAt))[0];
  const alive = chains
    .flatMap((stored) => stored.alive)
    .toSorted((a, b) => Date.parse(b.time) - Date.parse(a.time))[0];
  return {
    ...reach,
    alive: alive ?? null,
    newestBase: newestBase ? { stamp: newestBase.stamp, endedAt: newestBase.endedAt } : null,
    plan: recovery === undefined ? null : planOf(recovery, moment ?? ""),
  };
}

/**
 * What is to be taken from the bucket for a moment.
 * @throws Problem with what can be recovered, where this cannot
 */
export async function requireRecovery(
  store: ObjectStore,
  keys: readonly SigningKey[],
  moment: string,
): Promise<{ readonly recovery: Recovery; readonly plan: RecoveryPlan }> {
  const chains = await readChains(store, keys, moment);
  const recovery = chooseRecovery(chains, moment);
  if (recovery === undefined) throw notReachable(moment, reachOf(chains));
  return { recovery, plan: planOf(recovery, moment) };
}

/** Bases that are combined lie there once more as a whole. */
function planOf(recovery: Recovery, moment: string): RecoveryPlan {
  const { chain, bases, segments, pieced, end, isProven } = recovery;
  const unpacked = bases.map(({ unpackedBytes }) => unpackedBytes);
  const sum = unpacked.reduce((all, one) => all + one, 0);
  const count = segments.length + pieced.length;
  return {
    moment,
    chain,
    bases,
    segments: count,
    endLsn: lsnText(BigInt(end)),
    isProven,
    diskBytes: sum + (bases.length > 1 ? Math.max(...unpacked) : 0) + count * chain.segmentBytes,
  };
}
