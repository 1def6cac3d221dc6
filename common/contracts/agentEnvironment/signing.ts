import * as z from "zod";
import { parseSigningKeys } from "../manifestMac.ts";

/** By which keys manifests are signed and checked. */
export interface SigningSettings {
  /**
   * 32 bytes each in base64url: the first signs, all of them check. Absent: manifests are not signed, and their origin is
   * not checked. `SIGNING_KEYS`
   */
  readonly signingKeys?: readonly string[];
}

export const signingVariables = { SIGNING_KEYS: z.string().default("") };

type Variables = z.infer<z.ZodObject<typeof signingVariables>>;

export function signingSecretEnv({ signingKeys = [] }: SigningSettings): Record<string, string> {
  return signingKeys.length === 0 ? {} : { SIGNING_KEYS: signingKeys.join(",") };
}

/** @throws Problem when one is no key */
export function parseSigning({ SIGNING_KEYS: text }: Variables): SigningSettings {
  parseSigningKeys(text, "SIGNING_KEYS");
  const signingKeys = text
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
  return signingKeys.length === 0 ? {} : { signingKeys };
}
