import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../common/age/keys.ts";
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
    writeFileSync(file, `${generateIdentity()}\n`, { mode: 0o600 });
  }
  const identity = parseIdentity(readFileSync(file, "utf8").trim());
  return { file, recipient: formatRecipient(publicKeyOf(identity)) };
}
