import * as z from "zod";
import { parseRecipient } from "../../age/keys.ts";
import { Problem } from "../../problem.ts";
import type { AgentSettings } from "./environment.ts";
import { REMEDY, words, written } from "./variables.ts";

/** The variables that say for whom backups are encrypted. */
export const encryptionVariables = {
  AGE_RECIPIENTS: z.string().default(""),
  PASSPHRASE: z.string().default(""),
};

type Variables = z.infer<z.ZodObject<typeof encryptionVariables>>;

export function clearEncryption({ encryption }: AgentSettings): Record<string, string> {
  if (encryption === undefined || !("recipients" in encryption)) return {};
  return written([["AGE_RECIPIENTS", encryption.recipients.join(",")]]);
}

export function secretEncryption({ encryption }: AgentSettings): Record<string, string> {
  if (encryption === undefined || !("passphrase" in encryption)) return {};
  return { PASSPHRASE: encryption.passphrase };
}

/** @throws Problem when a recipient is none, or a passphrase is given too */
export function encryptionOf(e: Variables): Pick<AgentSettings, "encryption"> {
  const recipients = words(e.AGE_RECIPIENTS);
  if (recipients.length > 0 && e.PASSPHRASE !== "") {
    throw new Problem(`AGE_RECIPIENTS and PASSPHRASE are both set; choose one. ${REMEDY}`);
  }
  for (const recipient of recipients) {
    try {
      parseRecipient(recipient);
    } catch (error) {
      throw new Problem(`AGE_RECIPIENTS: ${(error as Error).message} ${REMEDY}`, { cause: error });
    }
  }
  if (recipients.length > 0) return { encryption: { recipients } };
  return e.PASSPHRASE === "" ? {} : { encryption: { passphrase: e.PASSPHRASE } };
}
