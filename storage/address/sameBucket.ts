import type { StoreAddress } from "./address.ts";

/**
 * Whether two addresses mean the same bucket, in whatever folder. On AWS a bucket's name is unique in all regions, and
 * one bucket has several endpoints.
 */
export function isSameBucket(a: StoreAddress, b: StoreAddress): boolean {
  if (a.bucket !== b.bucket) return false;
  const onAws = [a, b].map(({ provider }) => provider.name === "AWS");
  if (onAws.includes(true)) return !onAws.includes(false);
  return a.endpoint === b.endpoint;
}
