import {
  signingClearEnv,
  signingSecretEnv,
} from "../../common/contracts/agentEnvironment/signing.ts";
import { storeClearEnv, storeSecretEnv } from "../../common/contracts/agentEnvironment/store.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";
import type { Signing } from "../stack/stateSecrets.ts";

/** Variables of an agent that reads the bucket with the reader's key, and knows what tells a true backup from somebody else's. */
export function readerEnvironment(
  { location }: Pick<BackupOutputs, "location">,
  key: Credentials,
  signing: Signing | undefined,
): Record<string, string> {
  const { endpoint, region, bucket, prefix } = location;
  const store = {
    ...(endpoint !== undefined && { endpoint }),
    ...{ region, bucket, prefix, ...key },
    allowInsecure: endpoint?.startsWith("http://") ?? false,
  };
  const signs = {
    ...(signing && { signingKeys: signing.keys.map(({ bytes }) => bytes.toString("base64url")) }),
    ...(signing?.since !== undefined && { signingSince: signing.since }),
  };
  return {
    ...storeClearEnv(store),
    ...storeSecretEnv(store),
    ...signingClearEnv(signs),
    ...signingSecretEnv(signs),
  };
}
