import { Problem } from "../../common/problem.ts";
import {
  type AddressInput,
  type AddressNames,
  parseAddress,
} from "../../storage/address/address.ts";
import { type ExcessRight, type KeyAccess, probeKey } from "../../storage/bucket/probeKey.ts";
import { openStore } from "../../storage/s3/client.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";

/** What was found of a bucket and a key. */
export type BucketFinding =
  | { readonly state: "good"; readonly excess: readonly ExcessRight[] }
  /** The service has no bucket of this name. */
  | { readonly state: "none"; readonly reason: string }
  /** Nobody answers from here, which says nothing about the host. */
  | { readonly state: "unreachable"; readonly reason: string };

export interface CheckOptions {
  /** What the key is for. @default "restorable" */
  readonly access?: KeyAccess;
  /** How messages call the settings. @default by the options of init */
  readonly names?: AddressNames;
}

/** How the messages call the settings. */
const NAMES: AddressNames = {
  bucket: "--bucket",
  endpoint: "--endpoint",
  region: "--region",
  prefix: "prefix",
  accessKeyId: "the access key id",
  secretAccessKey: "the secret key",
  allowInsecure: "--allow-insecure",
};

/** Checks an address without a word to the service. @throws Problem that names the option */
export function checkAddress(input: Omit<AddressInput, "prefix">): void {
  parseAddress({ ...input, prefix: "backups" }, NAMES);
}

/**
 * Tries a key in a bucket as `pulumi up` will: it must do what it is for, and should not be able to delete. Nothing is left there.
 * @throws Problem when the service answers, and the key cannot do what it must
 */
export async function checkBucket(
  input: AddressInput,
  keys: Credentials,
  { access = "restorable", names = NAMES }: CheckOptions = {},
): Promise<BucketFinding> {
  const store = openStore(parseAddress(input, names), keys);
  try {
    return { state: "good", excess: await probeKey(store, access) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const cause = error.cause as
      | { name?: string; $metadata?: { httpStatusCode?: number } }
      | undefined;
    if (cause?.name === "NoSuchBucket") return { state: "none", reason: error.message };
    if (cause !== undefined && cause.$metadata?.httpStatusCode === undefined) {
      return { state: "unreachable", reason: error.message };
    }
    throw error;
  } finally {
    store.client.destroy();
  }
}

/** In a few words: whether whoever steals the host could harm the backups. */
export function describeFinding(finding: BucketFinding): string {
  if (finding.state === "unreachable") {
    return `not tried from here: ${finding.reason} pulumi up tries it on the host.`;
  }
  if (finding.state === "none") return finding.reason;
  return finding.excess.includes("delete")
    ? "reachable; the key can write, and it can delete, too: so can whoever steals the host"
    : "reachable; the key can write and cannot delete: good";
}
