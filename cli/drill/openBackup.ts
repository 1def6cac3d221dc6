import {
  type EncryptionSettings,
  encryptionClearEnv,
  encryptionSecretEnv,
} from "../../common/contracts/agentEnvironment/encryption.ts";
import type { Entry } from "../../common/contracts/agentEvents.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";
import { withReader } from "../backups/bucketSource.ts";
import { readerEnvironment } from "../backups/readerEnvironment.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import type { Signing } from "../stack/stateSecrets.ts";
import { recipientAmong } from "./judgeDrill.ts";

/** What backups of a stack are opened with. */
export interface BackupKeys {
  readonly session: Session;
  readonly stack: StackChoice;
  /** Private keys that were given, a line each. */
  readonly identities: readonly string[];
  readonly signing: Signing | undefined;
}

/** A backup that can be read here. */
export interface OpenedBackup {
  /** Null for the old image's objects. */
  readonly manifest: Manifest | null;
  /** Environment of an agent that restores it, but for the server. */
  readonly env: Readonly<Record<string, string>>;
  /** Public key whose private half opens it; null: a passphrase, or it is in clear. */
  readonly openedWith: string | null;
}

/**
 * Reads the manifest, and makes sure that the keys that were given open the backup.
 * @throws Problem
 */
export async function openBackup(keys: BackupKeys, entry: Entry): Promise<OpenedBackup> {
  const { manifest, key } = await withReader(keys.session, keys.stack, async (store, key) => ({
    key,
    manifest: entry.kind === "legacy" ? null : await readManifest(store, entry),
  }));
  const openedWith = keyThatOpens(keys, entry, manifest);
  return { manifest, env: environmentOf(keys, entry, manifest, key), openedWith };
}

/** The agent's settings for the one backup: the reader's key, and what tells a true backup from somebody else's. */
function environmentOf(
  { session: { backup }, signing }: BackupKeys,
  { database }: Entry,
  manifest: Manifest | null,
  key: Credentials,
): Record<string, string> {
  const encryption = encryptionOf(manifest);
  return {
    POSTGRES_DATABASE: database,
    ...readerEnvironment(backup, key, signing),
    ...encryptionClearEnv(encryption),
    ...encryptionSecretEnv(encryption),
  };
}

function encryptionOf(manifest: Manifest | null): EncryptionSettings {
  if (manifest !== null && manifest.recipients.length > 0) {
    return { encryption: { recipients: manifest.recipients } };
  }
  const passphrase = process.env["PASSPHRASE"] ?? "";
  return passphrase === "" ? {} : { encryption: { passphrase } };
}

/** @throws Problem when nothing that was given can open it: found out before anything is started */
function keyThatOpens(
  { identities }: BackupKeys,
  { key }: Entry,
  manifest: Manifest | null,
): string | null {
  const isPassphrase = key.endsWith(".gpg") || manifest?.recipients.length === 0;
  if (manifest?.encryption !== "age" && !key.endsWith(".gpg")) return null;
  if (isPassphrase) {
    if (process.env["PASSPHRASE"]) return null;
    throw new Problem(
      "the backup is encrypted with a passphrase. Give it in the variable PASSPHRASE.",
    );
  }
  if (manifest === null || identities.length === 0) {
    throw new Problem(
      "the backup is encrypted for an age key. Give its private half with --identity FILE, or in the variable AGE_IDENTITY.",
    );
  }
  const recipient = recipientAmong(manifest, identities);
  if (recipient !== null) return recipient;
  throw new Problem(
    `the age identity that was given does not open this backup, which is encrypted for ${manifest.recipients.join(", ")}.`,
  );
}

/**
 * Image of a server for a backup.
 * @throws Problem when its version is not known
 */
export function imageOf(major: number | undefined, { stamp }: Entry): string {
  if (major !== undefined) return `postgres:${major}`;
  throw new Problem(
    `the backup of ${stamp} has no manifest that tells the version of its server. Name the image of one: --image postgres:17.`,
  );
}
