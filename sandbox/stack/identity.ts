import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeBech32 } from "../../common/age/bech32.ts";
import { formatRecipient, parseIdentity, publicKeyOf } from "../../common/age/keys.ts";
import type { World } from "../world/world.ts";

/** The operator's age key: the private half in a file, as `age-keygen` leaves it, the public half for the program. */
export interface Identity {
  readonly file: string;
  readonly recipient: string;
}

/** Makes the key at the first call and keeps it: earlier backups must stay readable. */
export function ensureIdentity(world: World): Identity {
  const file = join(world.dir, "identity.txt");
  if (!existsSync(file)) {
    const { privateKey } = generateKeyPairSync("x25519");
    const bytes = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
    const text = encodeBech32("age-secret-key-", bytes).toUpperCase();
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
  }
  const identity = parseIdentity(readFileSync(file, "utf8").trim());
  return { file, recipient: formatRecipient(publicKeyOf(identity)) };
}
