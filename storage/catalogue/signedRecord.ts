import type { ZodType } from "zod";
import {
  checkSignature,
  type Signature,
  type SignedKind,
  type SigningKey,
  signatureOf,
} from "../../common/contracts/manifestMac.ts";

/** What was read of a record that lies in the bucket. */
export interface ReadRecord<Record> {
  readonly record: Record;
  /** What its signature is worth to the keys that were given; null: none were, so every record counts. */
  readonly signature: Signature | null;
}

/**
 * A record as it is stored, signed.
 * @param keys the first one signs; without one it is not signed
 */
export function recordText(record: object, keys: readonly SigningKey[], kind: SignedKind): string {
  const mac = signatureOf(record, keys, kind);
  return `${JSON.stringify({ ...record, ...(mac && { mac }) }, null, 2)}\n`;
}

/** @returns undefined of what is no record of this version */
export function parseRecord<Record>(
  text: string,
  schema: ZodType<Record>,
  keys: readonly SigningKey[],
  kind: SignedKind,
): ReadRecord<Record> | undefined {
  try {
    const stored: unknown = JSON.parse(text);
    const record = schema.parse(stored);
    const signature = keys.length === 0 ? null : checkSignature(stored, keys, kind);
    return { record, signature };
  } catch {
    return undefined;
  }
}

/** Whether a record counts: it is signed, or no keys are known. */
export function isBelieved({ signature }: { readonly signature: Signature | null }): boolean {
  return signature === null || signature === "signed";
}
