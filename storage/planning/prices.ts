/** List price of keeping data at a service, without free allowances, requests, traffic and taxes. */
export interface Price {
  /** Name in the table of providers. */
  readonly provider: string;
  /** Storage class in the service's own word. */
  readonly storageClass: string;
  /** US dollars for a gigabyte (10^9 bytes) in a month. */
  readonly usdPerGbMonth: number;
  /** Day of the list that the price was taken from. */
  readonly asOf: string;
}

/**
 * Only prices that the provider publishes as text with a day that can be looked up. Others get no estimate unless the
 * program gives a price; AWS fills in its page by script, and has one price for each region and volume.
 */
const prices: readonly Price[] = [
  // https://developers.cloudflare.com/r2/pricing/, whose source and history are public in cloudflare/cloudflare-docs
  // (src/content/docs/r2/pricing.mdx): the same in every region.
  {
    provider: "Cloudflare R2",
    storageClass: "STANDARD",
    usdPerGbMonth: 0.015,
    asOf: "2026-06-13",
  },
];

/** Finds the price of a storage class; undefined when the table has none. */
export function priceOf(provider: string, storageClass: string): Price | undefined {
  return prices.find((price) => price.provider === provider && price.storageClass === storageClass);
}

/**
 * Days that an object in a storage class is billed for at least, however early it goes; 0 where none is known.
 * @param provider name in the table of providers
 */
export function minimumDays(provider: string, storageClass: string): number {
  const classes = minimums[provider];
  return classes?.[storageClass] ?? classes?.["*"] ?? 0;
}

const minimums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  AWS: {
    STANDARD_IA: 30,
    ONEZONE_IA: 30,
    GLACIER_IR: 90,
    GLACIER: 90,
    DEEP_ARCHIVE: 180,
  },
  "Cloudflare R2": { STANDARD_IA: 30 },
  Wasabi: { "*": 90 },
};
