const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads how long something takes or may take: whole numbers with their units, the longest first.
 * @example parseDuration("10m") // 600000
 * @example parseDuration("1h30m") // 5400000
 * @example parseDuration("7d") // 604800000
 * @returns milliseconds; undefined for a text that is none, or 0
 */
export function parseDuration(text: string): number | undefined {
  const parts = /^(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?$/.exec(text.trim());
  if (parts === null) return undefined;
  const [, d = 0, h = 0, m = 0, s = 0] = parts;
  const ms = Number(d) * UNITS.d + Number(h) * UNITS.h + Number(m) * UNITS.m + Number(s) * UNITS.s;
  return ms > 0 ? ms : undefined;
}
