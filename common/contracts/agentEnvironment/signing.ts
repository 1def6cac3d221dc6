import * as z from "zod";
import { parseSigningKeys, splitSigningKeys } from "../manifestMac.ts";
import { nonDefault } from "./variables.ts";

/** By which keys manifests are signed and checked. */
export interface SigningSettings {
  /**
   * 32 bytes each in base64url: the first signs, all of them check. Absent: manifests are not signed, and their origin is
   * not checked. `SIGNING_KEYS`
   */
  readonly signingKeys?: readonly string[];
  /**
   * Since when every backup is signed, ISO 8601 in UTC: one that was stored later and is not signed never counts. Absent:
   * one without a signature counts until a signed one is there. `SIGNING_SINCE`
   */
  readonly signingSince?: string;
}

/** The container's variable with the keys: a container that has none does not sign. */
export const SIGNING_VARIABLE = "SIGNING_KEYS";

export const signingVariables = {
  SIGNING_KEYS: z.string().default(""),
  SIGNING_SINCE: z.iso
    .datetime("SIGNING_SINCE must be a time in UTC such as 2026-11-24T03:15:02Z")
    .optional(),
};

type Variables = z.infer<z.ZodObject<typeof signingVariables>>;

export function signingClearEnv({ signingSince }: SigningSettings): Record<string, string> {
  return nonDefault([["SIGNING_SINCE", signingSince]]);
}

export function signingSecretEnv({ signingKeys = [] }: SigningSettings): Record<string, string> {
  return nonDefault([[SIGNING_VARIABLE, signingKeys.join(",")]]);
}

/** @throws Problem when one is no key */
export function parseSigning({
  SIGNING_KEYS: text,
  SIGNING_SINCE: signingSince,
}: Variables): SigningSettings {
  parseSigningKeys(text, "SIGNING_KEYS");
  const signingKeys = splitSigningKeys(text);
  return {
    ...(signingKeys.length > 0 && { signingKeys }),
    ...(signingSince !== undefined && { signingSince }),
  };
}
