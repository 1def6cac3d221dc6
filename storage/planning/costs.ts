import { type Price, priceOf } from "./prices.ts";

const GB = 1e9;

/** An amount in a month, and where the price comes from. */
export interface MonthlyCost {
  /** US dollars. */
  readonly usd: number;
  /** `by the list price of 2026-06-13` */
  readonly basis: string;
}

/** What keeping these bytes costs; undefined where no price is known. @param given US dollars for a GB and month */
export function monthlyCost(
  provider: string,
  bytes: number,
  given: number | undefined,
): MonthlyCost | undefined {
  if (given !== undefined) return { usd: (bytes / GB) * given, basis: "by usdPerGbMonth" };
  const price: Price | undefined = priceOf(provider, "STANDARD");
  return (
    price && {
      usd: (bytes / GB) * price.usdPerGbMonth,
      basis: `by the list price of ${price.asOf}`,
    }
  );
}

/** `about 0.51 USD a month by the list price of 2026-06-13` */
export function describeCost({ usd, basis }: MonthlyCost): string {
  return `about ${usd.toFixed(2)} USD a month ${basis}`;
}

/** How many backups exist at once at the most. What binary fractions add to a whole number does not count. */
export function atMost(perDay: number, days: number): number {
  return Math.ceil(perDay * days - 1e-9);
}

/** `22.0 GB`, or MB below a tenth of one. */
export function gigabytes(bytes: number): string {
  return bytes < GB / 10 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / GB).toFixed(1)} GB`;
}

/** Gigabytes alone, for the unit of a bill. */
export function inGb(bytes: number): string {
  return bytes < GB ? (bytes / GB).toPrecision(2) : (bytes / GB).toFixed(1);
}
