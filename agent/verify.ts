import { addAbortSignal } from "node:stream";
import {
  type CatalogueEntry,
  chooseBackup,
  listBackups,
  readManifest,
} from "../storage/catalogue.ts";
import { openObject, readStart } from "../storage/download.ts";
import { manifestKey, parseKey, verifiedKey } from "../storage/keys.ts";
import type { Manifest } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import { putNew } from "../storage/putOnce.ts";
import { LONGEST_HEADER, needsPassphrase, parseHeader } from "./ageHeader.ts";
import type { Secrets } from "./ageKeyWrap.ts";
import { checkFraming, Damaged } from "./ageStream.ts";
import { Count, openDump, type Unpacking, unpackInto } from "./archive.ts";
import type { BackupContext } from "./backup.ts";
import { readHead } from "./head.ts";
import { describeEnding } from "./pipeline.ts";
import { readableBytes, throttled } from "./report.ts";
import { StallWatch } from "./stall.ts";

const PROGRESS_EVERY_MS = 1000;
const SHOWN = 5;

/** The backup that is looked at. */
export type Subject = Pick<CatalogueEntry, "database" | "stamp" | "key" | "bytes" | "verifiedKey">;

/** `full`: read to its last row. `stored`: the stored bytes are whole, but nothing here can decrypt them. */
export type Depth = "full" | "stored";

/**
 * Reads a backup from the bucket to its end, as a restore would, without a database: digest, decryption, decompression,
 * every block of the archive, and its list of tables against the manifest.
 *
 * Without the private key of a recipient only the stored bytes and their age framing can be checked. That is said, and
 * never counts as verified.
 * @param manifest null for the old image's backups
 * @throws Problem when the backup is damaged, or the secret that was given is wrong
 */
export async function verify(
  context: BackupContext,
  entry: Subject,
  manifest: Manifest | null,
  secrets: Secrets,
): Promise<Depth> {
  const { report } = context;
  const started = performance.now();
  const depth = await depthOf(context, entry, manifest, secrets);
  const tables =
    depth === "full"
      ? await readAll(context, entry, manifest, secrets)
      : await readStored(context, entry, manifest);
  const unchecked = uncheckedBy(depth, manifest);
  if (depth === "full" && manifest !== null) await leaveMark(context, entry, manifest);
  const size = readableBytes(entry.bytes);
  const elapsedMs = Math.round(performance.now() - started);
  report.line(
    depth === "full"
      ? `Verified ${entry.key}: ${size} read to the end, ${tables} tables, ${(elapsedMs / 1000).toFixed(1)} s.`
      : `Unreadable here: ${entry.key}, ${size}, is stored as it was written, but was not decrypted.`,
  );
  if (unchecked !== null) report.notice(`not checked: ${unchecked}`);
  report.event({
    event: "verified",
    database: entry.database,
    from: entry.stamp,
    key: entry.key,
    depth,
    bytes: entry.bytes,
    tables,
    unchecked,
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
  context: BackupContext,
  wanted: string,
  secrets: Secrets,
): Promise<Depth> {
  const { settings, store } = context;
  const { database } = settings.postgres;
  const { bucket, prefix } = store.address;
  const entries = await listBackups(store, database);
  const entry = chooseBackup(entries, wanted, database, `s3://${bucket}/${prefix}`);
  const manifest = entry.kind === "legacy" ? null : await readManifest(store, entry);
  return verify(context, entry, manifest, secrets);
}

/**
 * Verifies a backup that was just stored, with what the settings alone can open. A damaged one becomes suspect.
 * @throws Problem as `verify` does
 */
export async function verifyNew(context: BackupContext, manifest: Manifest): Promise<void> {
  const { encryption } = context.settings;
  const { key, bytes } = manifest.object;
  const stamp = manifest.takenAt.replace(/Z$/, "");
  const secrets = {
    identities: [],
    ...(encryption && "passphrase" in encryption && { passphrase: encryption.passphrase }),
  };
  const subject = { database: manifest.database, stamp, key, bytes, verifiedKey: null };
  try {
    await verify(context, subject, manifest, secrets);
  } catch (error) {
    if (context.signal.aborted) {
      throw new Problem(`the backup is stored as ${key} and counts, but it was not verified.`, {
        cause: error,
      });
    }
    if (error instanceof Damaged) await doubt(context, manifest, stamp, error.message);
    throw error;
  }
}

/** A manifest under `suspect` outweighs the one beside the dump, so that a damaged backup never counts as latest. */
async function doubt(
  { store }: BackupContext,
  manifest: Manifest,
  stamp: string,
  suspect: string,
): Promise<void> {
  const key = manifestKey(store.address.prefix, manifest.database, stamp, "suspect");
  const text = `${JSON.stringify({ ...manifest, suspect }, null, 2)}\n`;
  await putNew(store, key, text, "application/json");
}

/** A backup for recipients, and none of their keys here: the usual case on a host, not a mistake. */
async function depthOf(
  { store }: BackupContext,
  entry: Subject,
  manifest: Manifest | null,
  { identities }: Secrets,
): Promise<Depth> {
  if (manifest?.encryption !== "age" || identities.length > 0) return "full";
  const header = parseHeader(await readStart(store, entry.key, LONGEST_HEADER));
  return header === undefined || needsPassphrase(header) ? "full" : "stored";
}

function uncheckedBy(depth: Depth, manifest: Manifest | null): string | null {
  if (depth === "stored") {
    return "the content, which only a recipient's private key opens. Run verify with --identity to read it.";
  }
  return manifest === null
    ? "size, digest and tables, since the old image stored no manifest to compare with."
    : null;
}

async function readAll(
  context: BackupContext,
  entry: Subject,
  manifest: Manifest | null,
  secrets: Secrets,
): Promise<number> {
  const { store, signal } = context;
  const unpacking = await openDump(store, entry, manifest, secrets);
  await download(context, entry, manifest, async (source, stopping, onBytes) => {
    const read = await unpackInto(source, unpacking, "pg_restore --file=/dev/null", {
      args: [],
      env: process.env,
      signal: stopping,
      onBytes,
    });
    return { ...read, failure: failureOf(read, unpacking) };
  });
  const list = await readHead(store, entry.key, unpacking, ["--list"], signal);
  if (list === undefined) throw new Damaged(`${entry.key}: its table of contents cannot be read.`);
  return compareTables(entry.key, list, manifest);
}

function failureOf(
  { first, second, whole }: Awaited<ReturnType<typeof unpackInto>>,
  { program }: Unpacking,
): string | undefined {
  if (first.code !== 0) return describeEnding(program, first);
  if (second.code !== 0) return describeEnding("pg_restore", second);
  return whole ? undefined : "pg_restore was done before the object had been read to its end";
}

async function readStored(
  context: BackupContext,
  entry: Subject,
  manifest: Manifest | null,
): Promise<null> {
  const { store } = context;
  const recipients = checkFraming(await readStart(store, entry.key, LONGEST_HEADER), entry.bytes);
  if (manifest !== null && recipients !== manifest.recipients.length) {
    throw new Damaged(
      `${entry.key} is not what was written: ${recipients} keys can open it, the manifest names ${manifest.recipients.length}.`,
    );
  }
  await download(context, entry, manifest, async (source, signal, onBytes) => {
    const count = new Count(onBytes);
    for await (const _ of count.pass(source)) signal.throwIfAborted();
    return { ...count.result(), whole: true, failure: undefined };
  });
  return null;
}

interface Read {
  readonly bytes: number;
  readonly sha256: string;
  readonly whole: boolean;
  readonly failure: string | undefined;
}

/** One reading from start to end; a digest that differs explains more than what the programs said. */
async function download(
  { store, report, signal }: BackupContext,
  entry: Subject,
  manifest: Manifest | null,
  read: (
    source: AsyncIterable<Buffer>,
    stopping: AbortSignal,
    onBytes: (bytes: number) => void,
  ) => Promise<Read>,
): Promise<void> {
  const started = performance.now();
  const stall = new StallWatch(`verification of ${entry.key}`);
  const stopping = AbortSignal.any([signal, stall.signal]);
  const { stream } = await openObject(store, entry.key);
  addAbortSignal(stopping, stream);
  const progress = throttled(PROGRESS_EVERY_MS, (bytes: number) =>
    report.event({
      event: "progress",
      step: "download",
      bytes,
      total: entry.bytes,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
  try {
    const { bytes, sha256, whole, failure } = await read(stall.watch(stream), stopping, progress);
    const { object } = manifest ?? {};
    if (whole && object !== undefined && sha256 !== object.sha256) {
      throw damaged(
        entry,
        bytes === object.bytes
          ? `its SHA-256 is ${sha256}, the manifest says ${object.sha256}`
          : `it has ${bytes} bytes, the manifest says ${object.bytes}`,
      );
    }
    if (failure !== undefined) throw damaged(entry, failure);
  } finally {
    stall.stop();
    stream.destroy();
  }
}

function damaged({ key }: Subject, how: string): Damaged {
  return new Damaged(`${key} is damaged: ${how}. Do not rely on it; take a new backup.`);
}

/** @returns number of tables with data in the archive */
function compareTables(key: string, list: string, manifest: Manifest | null): number {
  // `3350; 0 16386 TABLE DATA public accounts owner`; names may hold blanks, so the known ones are looked for.
  const found = [...list.matchAll(/^\d+; \d+ \d+ TABLE DATA (.*)$/gm)].map(
    ([, rest]) => rest ?? "",
  );
  if (manifest === null) return found.length;
  const missing = manifest.tables.filter(({ schema, name }) => {
    const start = `${schema} ${name} `.replace(/[\r\n]/g, " ");
    return !found.some((entry) => entry.startsWith(start));
  });
  if (missing.length === 0) return found.length;
  const names = missing.slice(0, SHOWN).map(({ schema, name }) => `${schema}.${name}`);
  throw new Damaged(
    `${key} lacks ${missing.length} of ${manifest.tables.length} tables that its manifest names: ${names.join(", ")}. Do not rely on it; take a new backup.`,
  );
}

/** So that `list` shows it. Whoever may only read verifies as well, and the result holds without the mark. */
async function leaveMark(
  { store, report }: BackupContext,
  entry: Subject,
  { object }: Manifest,
): Promise<void> {
  const parsed = parseKey(store.address.prefix, entry.key);
  if (parsed?.kind !== "ours" || entry.verifiedKey !== null) return;
  const key = verifiedKey(store.address.prefix, entry.database, entry.stamp, parsed.folder);
  const { bytes, sha256 } = object;
  const mark = { version: 1, at: new Date().toISOString(), depth: "full", bytes, sha256 };
  try {
    await putNew(store, key, `${JSON.stringify(mark)}\n`, "application/json");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report.notice(`the result could not be noted in the bucket: ${error.message}`);
  }
}
