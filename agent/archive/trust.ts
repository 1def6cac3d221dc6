import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { parseSigningKeys, type SigningKey } from "../../common/contracts/manifestMac.ts";
import type { Trust } from "../../storage/catalogue/judgeOrigin.ts";

/** The keys by which this container signs and checks. */
export function signingKeysOf({ signingKeys = [] }: AgentSettings): SigningKey[] {
  return parseSigningKeys(signingKeys.join(","), "SIGNING_KEYS");
}

/** What the settings say of who may have written a backup. */
export function trustOf(settings: AgentSettings): Trust {
  return {
    keys: signingKeysOf(settings),
    since: settings.signingSince,
    encrypts: settings.encryption !== undefined,
  };
}
