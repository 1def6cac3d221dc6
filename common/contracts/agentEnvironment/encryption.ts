import * as z from "zod";
import type { Encryption } from "../../age/header.ts";
import { parseRecipient } from "../../age/keys.ts";
import { Problem } from "../../problem.ts";
import { nonDefault, REMEDY, splitList } from "./variables.ts";

/** For whom backups are encrypted. */
export interface EncryptionSettings {
  /**
   * Public keys that can decrypt, `AGE_RECIPIENTS=age1...,age1...`, or a passphrase, `PASSPHRASE`. Absent: backups are
   * stored unencrypted.
   */
  readonly encryption?: Encryption;
}

export const encryptionVariables = {
  AGE_RECIPIENTS: z.string().default(""),
  PASSPHRASE: z.string().default(""),
};

type Variables = z.infer<z.ZodObject<typeof encryptionVariables>>;

export function encryptionClearEnv({ encryption }: EncryptionSettings): Record<string, string> {
  if (encryption === undefined || !("recipients" in encryption)) return {};
  return nonDefault([["AGE_RECIPIENTS", encryption.recipients.join(",")]]);
}

export function encryptionSecretEnv({ encryption }: EncryptionSettings): Record<string, string> {
  if (encryption === undefined || !("passphrase" in encryption)) return {};
  return { PASSPHRASE: encryption.passphrase };
}

/** @throws Problem when a recipient is none, or a passphrase is given too */
export function parseEncryption(e: Variables): EncryptionSettings {
  const recipients = splitList(e.AGE_RECIPIENTS);
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
