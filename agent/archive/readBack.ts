import { LONGEST_HEADER } from "../../common/age/header.ts";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { checkFraming, DamagedObject } from "../../common/age/stream.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { readStart } from "../../storage/s3/download.ts";
import type { AgentContext } from "../runtime/context.ts";
import { describeExit } from "../streams/process.ts";
import { ByteCounter, type Decoder, decodeInto, dumpDecoder, failedOnData } from "./decode.ts";
import { type Download, digestMismatch, openDownload } from "./downloadStream.ts";
import { queryToc } from "./toc/tocReader.ts";

const SHOWN = 5;

/** The backup that is looked at. */
export type BackupToVerify = Pick<
  CatalogueEntry,
  "database" | "stamp" | "key" | "bytes" | "verifiedKey"
>;

/**
 * Reads an object through its decryption, its decompression and every block of the archive.
 * @returns number of tables in it
 * @throws Damaged; Problem when a secret is missing or wrong, or the object cannot be read
 */
export async function readArchive(
  context: AgentContext,
  entry: BackupToVerify,
  manifest: Manifest | null,
  secrets: AgeSecrets,
): Promise<number> {
  const { store } = context;
  const decoder = await dumpDecoder(store, entry, manifest, secrets);
  await readWhole(context, entry, manifest, async ({ source, signal: stopping, onBytes }) => {
    const read = await decodeInto(source, decoder, "pg_restore --file=/dev/null", {
      args: [],
      env: process.env,
      signal: stopping,
      onBytes,
    });
    return { ...read, failure: failureOf(read, decoder) };
  });
  let tooLong = false;
  const report = {
    ...context.report,
    warn: (text: string) => {
      tooLong = true;
      context.report.warn(text);
    },
  };
  const list = await queryToc({ ...context, report }, entry.key, decoder, ["--list"]);
  // The blocks were read to the end; only the names could not be compared.
  if (tooLong) return manifest?.tables.length ?? 0;
  if (list === undefined)
    throw new DamagedObject(`${entry.key}: its table of contents cannot be read.`);
  return compareTables(entry.key, list, manifest);
}

function failureOf(
  { first, second, whole }: Awaited<ReturnType<typeof decodeInto>>,
  { program }: Decoder,
): string | undefined {
  // A pg_restore that stops at what is no archive ends the program before it, too.
  if (failedOnData(first) || (first.code !== 0 && second.code === 0)) {
    return describeExit(program, first);
  }
  if (second.code !== 0) return describeExit("pg_restore", second);
  return whole ? undefined : "pg_restore was done before the object had been read to its end";
}

/**
 * Reads an encrypted object as it is stored, without its key.
 * @throws Damaged; Problem when it cannot be read
 */
export async function readStoredBytes(
  context: AgentContext,
  entry: BackupToVerify,
  manifest: Manifest | null,
): Promise<null> {
  const { store } = context;
  const recipients = checkFraming(await readStart(store, entry.key, LONGEST_HEADER), entry.bytes);
  if (manifest !== null && recipients !== manifest.recipients.length) {
    throw new DamagedObject(
      `${entry.key} is not what was written: ${recipients} keys can open it, the manifest names ${manifest.recipients.length}.`,
    );
  }
  await readWhole(context, entry, manifest, async ({ source, signal, onBytes }) => {
    const counter = new ByteCounter(onBytes);
    for await (const _ of counter.pass(source)) signal.throwIfAborted();
    return { ...counter.result(), whole: true, failure: undefined };
  });
  return null;
}

interface Read {
  readonly bytes: number;
  readonly sha256: string;
  readonly whole: boolean;
  readonly failure: string | undefined;
}

/** One reading from start to end; a digest that differs explains more than the errors of the programs. */
async function readWhole(
  context: AgentContext,
  entry: BackupToVerify,
  manifest: Manifest | null,
  read: (download: Download) => Promise<Read>,
): Promise<void> {
  const download = await openDownload(context, entry, `verification of ${entry.key}`);
  try {
    const { failure, whole, ...found } = await read(download);
    const damage = whole && manifest !== null ? digestMismatch(manifest, found) : undefined;
    const fault = damage ?? failure;
    if (fault !== undefined) throw damaged(entry, fault);
  } finally {
    download.close();
  }
}

function damaged({ key }: BackupToVerify, how: string): DamagedObject {
  return new DamagedObject(`${key} is damaged: ${how}. Do not rely on it; take a new backup.`);
}

/** @returns number of tables with data in the archive */
function compareTables(key: string, list: string, manifest: Manifest | null): number {
  // As `pg_restore --list` writes it (see parseContents); names may hold blanks, so the known ones are looked for.
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
  throw new DamagedObject(
    `${key} lacks ${missing.length} of ${manifest.tables.length} tables that its manifest names: ${names.join(", ")}. Do not rely on it; take a new backup.`,
  );
}
