import * as z from "zod";

/** What to do about a variable that is missing or wrong. */
export const REMEDY = "Set it in the accessory's env in deploy.yml and reboot the accessory.";

export const required = (name: string) =>
  z.string(`${name} is required`).min(1, `${name} is required`);

export const flag = (name: string, fallback: "true" | "false") =>
  z.enum(["true", "false"], `${name} must be true or false`).default(fallback);

export const wholeNumber = (name: string, least: number, most: number) =>
  z.string().refine((text) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most, {
    message: `${name} must be a whole number from ${least} to ${most}`,
  });

export const checksums = (name: string) =>
  z
    .enum(["when-supported", "when-required"], `${name} must be when-supported or when-required`)
    .optional();

/** The words of a list with commas. */
export const splitList = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

type Row = readonly [name: string, value: string | number | boolean | undefined, fallback?: string];

/** The variables of these rows, without those that are unset, empty or equal to their default. */
export function nonDefault(rows: readonly Row[]): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value, fallback] of rows) {
    if (value === undefined || value === "" || String(value) === fallback) continue;
    variables[name] = String(value);
  }
  return variables;
}
