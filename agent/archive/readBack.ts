import { LONGEST_HEADER } from "../../common/age/header.ts";
import type { Secrets } from "../../common/age/stanzas.ts";
import { checkFraming, Damaged } from "../../common/age/stream.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogue.ts";
import { readStart } from "../../storage/s3/download.ts";
import type { AgentContext } from "../runtime/context.ts";
import { describeEnding } from "../streams/process.ts";
import { Count, openDump, type Unpacking, unpackInto } from "./decode.ts";
import { damageOf, type Incoming, openIncoming } from "./downloadStream.ts";
import { readHead } from "./tocReader.ts";

const SHOWN = 5;

/** The backup that is looked at. */
export type Subject = Pick<CatalogueEntry, "database" | "stamp" | "key" | "bytes" | "verifiedKey">;

/**
 * Reads an object through its decryption, its decompression and every block of the archive.
 * @returns number of tables in it
 * @throws Damaged; Problem when a secret is missing or wrong, or the object cannot be read
 */
export async function readAll(
  context: AgentContext,
  entry: Subject,
  manifest: Manifest | null,
  secrets: Secrets,
): Promise<number> {
  const { store, signal } = context;
  const unpacking = await openDump(store, entry, manifest, secrets);
  await download(context, entry, manifest, async ({ source, signal: stopping, onBytes }) => {
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

/**
 * Reads an encrypted object as it is stored, without its key.
 * @throws Damaged; Problem when it cannot be read
 */
export async function readStored(
  context: AgentContext,
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
  await download(context, entry, manifest, async ({ source, signal, onBytes }) => {
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
  context: AgentContext,
  entry: Subject,
  manifest: Manifest | null,
  read: (incoming: Incoming) => Promise<Read>,
): Promise<void> {
  const incoming = await openIncoming(context, entry, `verification of ${entry.key}`);
  try {
    const { failure, whole, ...found } = await read(incoming);
    const damage = whole && manifest !== null ? damageOf(manifest, found) : undefined;
    const fault = damage ?? failure;
    if (fault !== undefined) throw damaged(entry, fault);
  } finally {
    incoming.close();
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
