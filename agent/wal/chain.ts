import { createHash } from "node:crypto";
import type pg from "pg";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { aliveSchema, type Chain } from "../../common/contracts/pointInTime.ts";
import { Problem } from "../../common/problem.ts";
import { aliveKey, chainKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import { recordText } from "../../storage/catalogue/signedRecord.ts";
import {
  lsnText,
  segmentPlace,
  segmentStart,
  walBytes,
} from "../../storage/catalogue/walPosition.ts";
import { explain, isDenied, isTaken } from "../../storage/s3/errors.ts";
import { readWhole } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { signingKeysOf } from "../archive/trust.ts";
import { compactStamp } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { describeEncryption } from "../streams/encrypt.ts";
import { oldestSegment, readSlots, type WalServer, type WalSlot } from "./server.ts";

/** A mark of life is some hundred bytes. */
const LARGEST_MARK = 64 * 1024;
const MARKER_HEX = 6;

/** The chain that WAL goes into, and from where on. */
export interface OpenChain {
  readonly name: string;
  readonly timeline: number;
  /** The first byte of a segment: all before it is in the bucket, or before the chain. */
  readonly from: bigint;
}

/** How far this process has brought a chain, which outlives a crash of the server; its slot may be thrown back by one. */
export interface Reached {
  readonly chain: string;
  readonly to: bigint;
}

/**
 * The chain that the server's slot names, or a new one. The container has no disk, and its key perhaps may not look into the bucket:
 * the slot's name on the server is all that is remembered.
 * @param client of the role that may replicate; holds the lock on archiving
 * @param reached by this process; undefined: it has just begun
 */
export async function openChain(
  client: pg.Client,
  context: AgentContext,
  server: WalServer,
  reached: Reached | undefined,
): Promise<OpenChain> {
  const { settings, report } = context;
  const slots = await readSlots(client);
  const marker = markerOf(settings, server);
  const own = slots.find(({ name }) => name.endsWith(`_${marker}`));
  const others = slots.filter((slot) => slot !== own);
  let why = "the server has no slot of a chain";
  if (own !== undefined) {
    const goesOn = await goOn(client, context, server, own, reached);
    if (typeof goesOn !== "string") {
      await dropSlots(client, others);
      return goesOn;
    }
    why = goesOn;
  } else if (others.length > 0) {
    why = "the server, its timeline, the bucket or the encryption is another one now";
  }
  const opened = await beginChain(client, context, server, marker);
  await dropSlots(client, slots);
  report.line(
    `A new chain of WAL begins at ${lsnText(opened.from)}: ${opened.name}, because ${why}.`,
  );
  return opened;
}

/** @returns why the chain cannot go on, as the end of a sentence */
async function goOn(
  client: pg.Client,
  { settings, store }: AgentContext,
  server: WalServer,
  { name, restart, status }: WalSlot,
  reached: Reached | undefined,
): Promise<OpenChain | string> {
  const { timeline, segmentBytes, written } = server;
  if (restart === null || status === "lost") {
    return "the server held as much WAL as it may and let the chain before go";
  }
  const kept = segmentStart(restart, segmentBytes);
  const own = reached?.chain === name ? reached.to : undefined;
  const known = own ?? (await lastMark({ settings, store }, name)) ?? 0n;
  // What stands in the bucket was never written here: the names that come next are taken, by other content.
  if (known > written) {
    return "the server has less WAL than was archived, so its disk is an earlier copy";
  }
  const wanted = own !== undefined && own > kept ? own : kept;
  // A crash throws the slot back, perhaps to where the WAL has been removed since: what is gone had been acknowledged by the bucket.
  const oldest = await oldestSegment(client, timeline);
  const there = oldest === undefined ? 0n : segmentPlace(oldest, segmentBytes).from;
  if (there <= wanted) return { name, timeline, from: wanted };
  if (own !== undefined) return "the server has removed WAL that was not archived";
  return { name, timeline, from: there };
}

/**
 * Begins a chain. A slot that is gone with its connection holds the WAL until the bucket has the chain's description: a lasting slot
 * has its chain in the bucket.
 */
async function beginChain(
  client: pg.Client,
  { settings, store }: AgentContext,
  server: WalServer,
  marker: string,
): Promise<OpenChain> {
  const stamp = compactStamp(new Date(server.now)).toLowerCase();
  const name = `kpb_${stamp}_${marker}`;
  const temporary = `kpb_begins_${marker}`;
  const { rows } = await client.query<{ lsn: string }>(
    "SELECT lsn::text FROM pg_create_physical_replication_slot($1, true, true)",
    [temporary],
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the server made no slot");
  const from = segmentStart(walBytes(row.lsn), server.segmentBytes);
  const opened = { name, timeline: server.timeline, from };
  const text = chainText(settings, server, opened);
  await putNew(store, chainKey(store.address.prefix, name), text, "application/json");
  await client.query("SELECT pg_copy_physical_replication_slot($1, $2, false)", [temporary, name]);
  await client.query("SELECT pg_drop_replication_slot($1)", [temporary]);
  return opened;
}

/**
 * Stores the description of a chain again, where it is no longer there: the bucket's rules expire it like all else below its folder,
 * and the chain goes on. It then begins where it is now.
 */
export async function renewChain(
  { settings, store }: AgentContext,
  server: WalServer,
  chain: OpenChain,
): Promise<void> {
  const key = chainKey(store.address.prefix, chain.name);
  const text = Buffer.from(chainText(settings, server, chain));
  await store.putNew(key, text, "application/json").catch((error: unknown) => {
    if (!isTaken(error)) throw explain(error, store.address, `write ${key}`);
  });
}

function chainText(settings: AgentSettings, server: WalServer, chain: OpenChain): string {
  const record: Chain = {
    version: 1,
    chain: chain.name,
    systemIdentifier: server.systemIdentifier,
    major: server.major,
    serverVersion: server.version,
    startLsn: lsnText(chain.from),
    timeline: chain.timeline,
    segmentBytes: server.segmentBytes,
    ...describeEncryption(settings.encryption),
    startedAt: server.now,
  };
  return recordText(record, signingKeysOf(settings), "wal chain");
}

/** The slot of the chain that goes on; undefined: there is none yet. */
export async function ownSlot(
  client: pg.Client,
  settings: AgentSettings,
  server: WalServer,
): Promise<WalSlot | undefined> {
  const marker = markerOf(settings, server);
  return (await readSlots(client)).find(({ name }) => name.endsWith(`_${marker}`));
}

async function dropSlots(client: pg.Client, slots: readonly WalSlot[]): Promise<void> {
  for (const { name } of slots) {
    await client.query(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active",
      [name],
    );
  }
}

/** What the chains of one server, in one place and for the same keys have in common, at the end of their names. */
function markerOf(
  { store, encryption }: Pick<AgentSettings, "store" | "encryption">,
  { systemIdentifier, timeline }: WalServer,
): string {
  const { encryption: how, recipients } = describeEncryption(encryption);
  const { endpoint = "", bucket, prefix } = store;
  const same = [endpoint, bucket, prefix, how, ...recipients.toSorted()];
  return createHash("sha256")
    .update(JSON.stringify([systemIdentifier, timeline, ...same]))
    .digest("hex")
    .slice(0, MARKER_HEX);
}

/** How far the server had written by the newest mark of life; undefined: there is none, or the key may not look. */
async function lastMark(
  { settings, store }: Pick<AgentContext, "settings" | "store">,
  chain: string,
): Promise<bigint | undefined> {
  const { prefix } = store.address;
  try {
    let newest = "";
    for await (const { key } of store.list(aliveKey(prefix, chain, "").slice(0, -".json".length))) {
      if (key > newest) newest = key;
    }
    if (newest === "") return undefined;
    const body = await readWhole(await store.get(newest), LARGEST_MARK);
    const mark = aliveSchema.parse(JSON.parse(String(body)));
    return walBytes(mark.serverLsn);
  } catch (error) {
    if (isDenied(error)) return undefined;
    if (error instanceof SyntaxError) {
      throw new Problem(
        `a mark of life of ${chain} below ${settings.store.prefix} cannot be read. Remove it: the newest below pitr-open/${chain}/alive/.`,
      );
    }
    throw error;
  }
}
