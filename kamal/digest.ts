import { createHmac } from "node:crypto";
import { Problem } from "../common/problem.ts";
import { type Accessory, DIGEST_LABEL } from "./accessory.ts";

/**
 * Digest of what runs in the accessory's container, secrets included: 16 hexadecimal digits for the label. Hosts are left
 * out, for one more host changes nothing on the others; so is the digest's own label.
 * @param secrets value by name in the container
 * @param key random secret: without one, a guess at a weak password could be checked against the public label
 * @throws Problem when the key is too short to be random
 */
export function accessoryDigest(
  accessory: Accessory,
  secrets: Readonly<Record<string, string>>,
  key: string,
): string {
  if (key.length < 8)
    throw new Problem(
      "the key of the digest is too short. Give a random secret of 8 characters or more.",
    );
  const { hosts: _hosts, labels, ...rest } = accessory;
  const others = Object.entries(labels).filter(([name]) => name !== DIGEST_LABEL);
  const text = canonicalJson({
    ...rest,
    labels: Object.fromEntries(others),
    secretValues: secrets,
  });
  return createHmac("sha256", key).update(text).digest("hex").slice(0, 16);
}

/** JSON with the keys in order, so that the same value always has the same text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
