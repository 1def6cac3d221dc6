import type { Provider } from "../address/providers.ts";

const MiB = 1024 * 1024;
/** S3's own bounds of a part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const smallestPart = 5 * MiB;
export const largestPart = 5 * 1024 * MiB;
/** All buffers of an upload together, where the parts are small: a slow moment of either side does not stop the other then. */
const usualBuffers = 20 * MiB;
/** One part is sent while the other is filled. */
export const leastQueue = 2;

/** Part buffers of an upload: 20 MiB of them, but at least two. */
export function usualQueue(partBytes: number): number {
  return Math.max(leastQueue, Math.floor(usualBuffers / partBytes));
}

/**
 * The part size for an object of unknown length.
 * @param estimateBytes upper estimate, e.g. the size of the database
 * @returns bytes; 5 MiB, S3's smallest, or more where the estimate would need more parts than the provider takes
 */
export function partBytesFor(provider: Provider, estimateBytes: number): number {
  // A fifth above the estimate must fit into nine tenths of the parts.
  const needed = Math.ceil((1.2 * estimateBytes) / (0.9 * provider.maxParts) / MiB) * MiB;
  return Math.min(largestPart, Math.max(smallestPart, needed));
}
