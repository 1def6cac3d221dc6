import { LONGEST_HEADER, needsPassphrase, parseHeader } from "../../common/age/header.ts";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { DamagedObject } from "../../common/age/stream.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { type Signature, signManifest } from "../../common/contracts/manifestMac.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import { markMac } from "../../storage/catalogue/marks.ts";
import { manifestKey, parseKey, verifiedKey } from "../../storage/catalogue/objectKeys.ts";
import {
  readOriginalManifest,
  readSignedOriginal,
  requireSize,
} from "../../storage/catalogue/readManifest.ts";
import { chooseBackup } from "../../storage/catalogue/selectBackup.ts";
import { readStart } from "../../storage/s3/download.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { type AgentContext, untilStopped } from "../runtime/context.ts";
import { warnOfChoice, warnOfSignature } from "./chosenBackup.ts";
import { type BackupToVerify, readArchive, readStoredBytes } from "./readBack.ts";
import { signingKeysOf, trustOf } from "./trust.ts";

/** `full`: read to its last row. `stored`: the stored bytes are whole, but nothing here can decrypt them. */
export type VerificationDepth = "full" | "stored";

/**
 * Reads a backup from the bucket to its end, as a restore would, without a database: digest, decryption, decompression,
 * every block of the archive, and its list of tables against the manifest.
 *
 * Without the private key of a recipient only the stored bytes and their age framing can be checked. That is reported, and
 * never counts as verified.
 * @param manifest null for the old image's backups
 * @param signature what that of the manifest is worth; null: nothing is known of it
 * @throws Problem when the backup is damaged, or the secret that was given is wrong
 */
export async function verify(
  context: AgentContext,
  entry: BackupToVerify,
  manifest: Manifest | null,
  secrets: AgeSecrets,
  signature: Signature | null,
): Promise<VerificationDepth> {
  const { report } = context;
  const started = performance.now();
  const depth = await possibleDepth(context, entry, manifest, secrets);
  const tables =
    depth === "full"
      ? await readArchive(context, entry, manifest, secrets)
      : await readStoredBytes(context, entry, manifest);
  const unchecked = uncheckedPart(depth, manifest);
  if (depth === "full" && manifest !== null) await putVerifiedMark(context, entry, manifest);
  const size = formatBytes(entry.bytes);
  const elapsedMs = Math.round(performance.now() - started);
  report.line(
    depth === "full"
      ? `Verified ${entry.key}: ${size} read to the end, ${tables} tables, ${(elapsedMs / 1000).toFixed(1)} s. Nothing was restored: only a restore shows that it can be.`
      : `Not decrypted: ${entry.key}, ${size}, is stored as it was written. Give its key to read it to the end.`,
  );
  if (unchecked !== null) report.warn(`not checked: ${unchecked}`);
  report.event({
    event: "verified",
    database: entry.database,
    from: entry.stamp,
    key: entry.key,
    depth,
    bytes: entry.bytes,
    tables,
    unchecked,
    signature,
    elapsedMs,
  });
  return depth;
}

/**
 * Verifies the backup that is asked for.
 * @param wanted `latest` or the stamp of a backup
 * @throws Problem when there is none, or as `verify` does
 */
export async function verifyChosen(
  context: AgentContext,
  wanted: string,
  secrets: AgeSecrets,
): Promise<VerificationDepth> {
  const { settings, store, report, signal } = context;
  const { database } = settings.postgres;
  const { bucket, prefix, names } = store.address;
  const also = wanted.replace(/Z$/, "");
  const trust = trustOf(settings);
  const reading = <T>(work: Promise<T>) => untilStopped(signal, work);
  const entries = await reading(listJudged(store, database, trust, { also }));
  const listed = chooseBackup(entries, wanted, database, `s3://${bucket}/${prefix}`, names);
  const original = await reading(readSignedOriginal(store, listed, trust.keys));
  const entry = original === undefined ? listed : { ...listed, originProblem: null };
  warnOfChoice(report, entries, entry, wanted);
  const read =
    original ??
    (entry.kind === "legacy"
      ? undefined
      : await reading(readOriginalManifest(store, entry, trust.keys)));
  if (read !== undefined) requireSize(read.manifest, entry);
  if (read?.storedAt !== undefined) {
    report.warn(
      `${entry.manifestKey} was overwritten. The version that was written first, at ${read.storedAt.slice(0, 19)}Z, is compared with.`,
    );
  }
  warnOfSignature(report, entry, read?.signature, trust);
  const signature = trust.keys.length === 0 ? null : (read?.signature ?? null);
  if (signature === "signed") report.line("Its manifest is signed with a key that is known here.");
  return verify(context, entry, read?.manifest ?? null, secrets, signature);
}

/**
 * Verifies a backup that was just stored, with what the settings alone can open. A damaged one becomes suspect.
 * @throws Problem as `verify` does
 */
export async function verifyNew(context: AgentContext, manifest: Manifest): Promise<void> {
  const { key, bytes } = manifest.object;
  const stamp = manifest.takenAt.replace(/Z$/, "");
  const secrets = settingsSecrets(context.settings);
  const entry = { database: manifest.database, stamp, key, bytes, verifiedKey: null };
  try {
    await verify(context, entry, manifest, secrets, manifest.mac ? "signed" : null);
  } catch (error) {
    if (context.signal.aborted) {
      throw new Problem(`the backup is stored as ${key} and counts, but it was not verified.`, {
        cause: error,
      });
    }
    if (error instanceof DamagedObject) await markSuspect(context, manifest, stamp, error.message);
    throw error;
  }
}

/** What the settings alone can open a backup with. */
export function settingsSecrets({ encryption }: AgentContext["settings"]): AgeSecrets {
  return {
    identities: [],
    ...(encryption && "passphrase" in encryption && { passphrase: encryption.passphrase }),
  };
}

/** A manifest under `suspect` outweighs the one beside the dump, so that a damaged backup never counts as latest. */
async function markSuspect(
  { store, settings }: AgentContext,
  manifest: Manifest,
  stamp: string,
  suspect: string,
): Promise<void> {
  const key = manifestKey(store.address.prefix, manifest.database, stamp, "suspect");
  const text = `${JSON.stringify(signManifest({ ...manifest, suspect }, signingKeysOf(settings)), null, 2)}\n`;
  await putNew(store, key, text, "application/json");
}

/** A backup for recipients, and none of their keys here: the usual case on a host, not a mistake. */
async function possibleDepth(
  { store }: AgentContext,
  entry: BackupToVerify,
  manifest: Manifest | null,
  { identities }: AgeSecrets,
): Promise<VerificationDepth> {
  if (manifest?.encryption !== "age" || identities.length > 0) return "full";
  const header = parseHeader(await readStart(store, entry.key, LONGEST_HEADER));
  return header === undefined || needsPassphrase(header) ? "full" : "stored";
}

function uncheckedPart(depth: VerificationDepth, manifest: Manifest | null): string | null {
  if (depth === "stored") {
    return "the content, which only a recipient's private key opens. Run verify with --identity to read it.";
  }
  return manifest === null
    ? "size, digest and tables, since the old image stored no manifest to compare with."
    : null;
}

/** So that `list` shows it. Whoever may only read verifies as well, and the result holds without the mark. */
async function putVerifiedMark(
  { store, settings, report }: AgentContext,
  entry: BackupToVerify,
  { object }: Manifest,
): Promise<void> {
  const parsed = parseKey(store.address.prefix, entry.key);
  if (parsed?.kind !== "ours" || entry.verifiedKey !== null) return;
  const mac = markMac({ kind: "verified", dump: entry.key }, signingKeysOf(settings));
  const key = verifiedKey(store.address.prefix, entry.database, entry.stamp, parsed.folder, mac);
  const { bytes, sha256 } = object;
  const mark = { version: 1, at: new Date().toISOString(), depth: "full", bytes, sha256 };
  try {
    await putNew(store, key, `${JSON.stringify(mark)}\n`, "application/json");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report.warn(`the result could not be noted in the bucket: ${error.message}`);
  }
}
