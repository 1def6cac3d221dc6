import { watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { PointInTimeSettings } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import type { Alive } from "../../common/contracts/pointInTime.ts";
import { aliveKey, pieceKey, segmentKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import { lsnText, segmentName, segmentPlace } from "../../storage/catalogue/walPosition.ts";
import { explain, isTaken } from "../../storage/s3/errors.ts";
import type { AgentContext } from "../runtime/context.ts";
import { describeEncryption } from "../streams/encrypt.ts";
import { type OpenChain, renewChain } from "./chain.ts";
import { lookAtOpen, readPart, type Written } from "./openSegment.ts";
import type { Progress } from "./progress.ts";
import { Receiver, WalIsGone } from "./receiver.ts";
import type { SealedStore } from "./seal.ts";
import { heldBytes, lookAtWal, type WalLook, type WalServer } from "./server.ts";
import type { Spool } from "./spool.ts";

/** Segments in memory, the open one included: three of 16 MiB leave room for Node in a container of 256 MiB. */
export const MOST_SEGMENTS = 3;
const IDLE_MS = 500;
const LOOK_EVERY_MS = 10_000;
const MARK_EVERY_MS = 5 * 60_000;
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** What archives a chain: whoever began it has the connection, the spool and the store. */
export interface ArchiverParts {
  readonly context: AgentContext;
  readonly settings: PointInTimeSettings;
  /** Of the role that may replicate. */
  readonly server: ServerSettings;
  readonly found: WalServer;
  readonly client: pg.Client;
  readonly chain: OpenChain;
  readonly spool: Spool;
  readonly store: SealedStore;
  readonly progress: Progress;
  /** An error in a sentence, free of secrets. */
  readonly describe: (error: unknown) => string;
}

/** The chain cannot go on: its slot has let WAL go. */
export class ChainIsLost extends Error {}

/** Brings WAL from the server through the spool into the bucket, and moves the slot behind it. */
export class Archiver {
  readonly #parts: ArchiverParts;
  readonly #stop = new AbortController();
  readonly #histories = new Set<string>();
  #receiver: Receiver | undefined;
  #receiverPauseMs = SHORTEST_PAUSE_MS;
  #receiverDue = 0;
  /** The bucket has every whole segment before it. */
  #archived: bigint;
  /** What was stored of the open segment. */
  #piece: Written | undefined;
  #pieceDue = 0;
  #markDue = 0;
  #wake = () => {};
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: ArchiverParts) {
    this.#parts = parts;
    this.#archived = parts.chain.from;
  }

  /** The bucket has every whole segment before it. */
  get archived(): bigint {
    return this.#archived;
  }

  /**
   * Archives until something fails that needs another beginning, or the run is stopped.
   * @throws ChainIsLost, WalIsGone, the failure of the connection, or the signal's reason
   */
  async run(): Promise<void> {
    const { context, spool } = this.#parts;
    const signal = AbortSignal.any([context.signal, this.#stop.signal]);
    const supervise = () => {
      try {
        this.#supervise(signal);
      } catch (error) {
        this.#fail(error);
      }
    };
    // `rename`: a file has come, or has another name. Each write is a `change`.
    const watcher = watch(spool.folder, (event) => {
      if (event === "rename") supervise();
    });
    const timer = setInterval(supervise, IDLE_MS);
    supervise();
    const work = [this.#look(signal), this.#pump(signal)];
    try {
      await Promise.race(work);
    } finally {
      clearInterval(timer);
      watcher.close();
      this.#stop.abort();
      await this.#receiver?.stop();
      this.#wake();
      await Promise.allSettled(work);
    }
    context.signal.throwIfAborted();
  }

  /** Keeps a receiver running, and has it wait while the spool is full. Called at each change of the spool, and by a timer. */
  #supervise(signal: AbortSignal): void {
    const { spool, server, progress, describe } = this.#parts;
    if (signal.aborted) return;
    const failure = this.#receiver?.failure;
    if (failure !== undefined) {
      this.#receiver = undefined;
      progress.failed("receiver", describe(failure));
      if (failure instanceof WalIsGone) {
        this.#fail(failure);
        return;
      }
      this.#receiverDue = performance.now() + this.#receiverPauseMs;
      this.#receiverPauseMs = Math.min(this.#receiverPauseMs * 2, LONGEST_PAUSE_MS);
    }
    if (this.#receiver === undefined && performance.now() >= this.#receiverDue) {
      this.#receiver = new Receiver(server, spool.folder);
    }
    this.#receiver?.hold(spool.held() >= MOST_SEGMENTS);
    this.#wake();
  }

  /** Ends the run by this failure. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort();
    this.#wake();
  }

  /** Looks every ten seconds how far the server and its slot are. */
  async #look(signal: AbortSignal): Promise<void> {
    const { client, chain, progress } = this.#parts;
    while (!signal.aborted) {
      const look = await lookAtWal(client, chain.name);
      if (look.slot === undefined || look.slot.restart === null || look.slot.status === "lost") {
        throw new ChainIsLost();
      }
      if (look.received !== null && this.#receiver?.failure === undefined) {
        this.#receiverPauseMs = SHORTEST_PAUSE_MS;
        progress.works("receiver");
      }
      await this.#credit(look);
      progress.looked(look);
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Stores what comes, in its order. */
  async #pump(signal: AbortSignal): Promise<void> {
    let pauseMs = SHORTEST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        const busy = await this.#round(signal);
        pauseMs = SHORTEST_PAUSE_MS;
        if (!busy) await this.#idle();
      } catch (error) {
        if (!(error instanceof BucketFailed)) throw error;
        const { describe, progress } = this.#parts;
        progress.failed("bucket", describe(error.cause));
        await sleep(pauseMs, undefined, { signal }).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** @returns whether there may be more at once */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { whole } = await this.#storeWhole();
    if (signal.aborted || whole > 0) return whole > 0;
    const now = performance.now();
    if (now >= this.#pieceDue) {
      await this.#storePiece();
      this.#pieceDue = now + this.#parts.settings.rpoSeconds * 1_000;
    }
    if (now >= this.#markDue) {
      await this.#mark();
      this.#markDue = now + MARK_EVERY_MS;
    }
    return false;
  }

  async #idle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, IDLE_MS);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** Stores the whole segments of the spool, and lets the server go on without each. @param letGo false: nobody may be there to hear it */
  async #storeWhole(letGo = true): Promise<{ readonly whole: number }> {
    const { spool, chain, progress, client } = this.#parts;
    const { whole, histories } = await spool.look();
    for (const name of histories.filter((each) => !this.#histories.has(each))) {
      await this.#put(this.#segmentKey(name), spool.read(name), true);
      this.#histories.add(name);
    }
    for (const name of whole) {
      const expected = segmentName(chain.timeline, this.#archived, spool.segmentBytes);
      if (name !== expected) throw new Error(`received ${name} instead of ${expected}`);
      await this.#put(this.#segmentKey(name), spool.read(name), true);
      this.#archived = spool.endOf(name);
      await spool.archived(name);
      progress.stored(this.#archived);
      progress.works("bucket");
      if (!letGo) continue;
      this.#supervise(this.#stop.signal);
      await client.query("SELECT pg_replication_slot_advance($1, $2::pg_lsn)", [
        chain.name,
        lsnText(this.#archived),
      ]);
    }
    return { whole: whole.length };
  }

  /** Stores what has come of the open segment since the last time. */
  async #storePiece(): Promise<void> {
    const { spool, chain, context, progress } = this.#parts;
    const { open } = await spool.look();
    if (open === undefined) return;
    const path = join(spool.folder, `${open}.partial`);
    const before = this.#piece?.name === open ? this.#piece : undefined;
    const from = before?.to ?? 0;
    let written: Written;
    try {
      written = await lookAtOpen(path, open, from, before);
      if (written.to > from) {
        const { prefix } = context.store.address;
        const key = pieceKey(
          prefix,
          chain.name,
          { file: open, from, to: written.to },
          this.#encryption,
        );
        await this.#put(key, readPart(path, from, written.to), false);
      }
    } catch (error) {
      // It has become whole meanwhile, and is stored as such.
      if (error instanceof BucketFailed ? isGone(error.cause) : isGone(error)) return;
      throw error;
    }
    this.#piece = written;
    progress.works("bucket");
    const { from: start } = segmentPlace(open, spool.segmentBytes);
    if (start === this.#archived) progress.stored(start + BigInt(written.to));
  }

  /**
   * Where the open segment has not been written to since its last piece, the bucket has all that the receiver had written at the look.
   */
  async #credit({ received }: WalLook): Promise<void> {
    const { spool, progress } = this.#parts;
    const piece = this.#piece;
    if (received === null || piece === undefined) return;
    const place = segmentPlace(piece.name, spool.segmentBytes);
    if (place.from !== this.#archived || received > place.to) return;
    try {
      const path = join(spool.folder, `${piece.name}.partial`);
      if ((await lookAtOpen(path, piece.name, piece.to, piece)) === piece)
        progress.stored(received);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** Stores what has been received, once, when nothing more comes: the server may never come back. */
  async flush(): Promise<void> {
    await this.#storeWhole(false);
    await this.#storePiece();
  }

  /**
   * Stores a mark of life. What the server had written at its moment is stored before, as far as it has come; where the receiver says
   * that it has all of that and nothing has come since the last piece, the bucket has it.
   */
  async #mark(): Promise<void> {
    const { client, chain, context, progress } = this.#parts;
    const look = await lookAtWal(client, chain.name);
    if (look.slot?.restart == null) throw new ChainIsLost();
    await this.#storePiece();
    await this.#credit(look);
    const state = progress.state();
    const mark: Alive = {
      version: 1,
      chain: chain.name,
      time: look.now,
      serverLsn: lsnText(look.written),
      archivedLsn: state.archivedLsn ?? lsnText(chain.from),
      heldBytes: heldBytes(look.written, look.slot.restart),
      boundBytes: look.boundBytes,
    };
    const key = aliveKey(context.store.address.prefix, chain.name, look.now.slice(0, 19));
    try {
      await renewChain(context, this.#parts.found, chain);
      await context.store.putNew(key, Buffer.from(`${JSON.stringify(mark)}\n`), "application/json");
    } catch (error) {
      // One of the same second, before a restart.
      if (!isTaken(error))
        throw new BucketFailed(explain(error, context.store.address, `write ${key}`));
    }
    progress.marked(look.now);
    // Renews the time since which the slot counts as idle (idle_replication_slot_timeout of PostgreSQL 18).
    await client.query(
      "SELECT pg_replication_slot_advance(slot_name, restart_lsn) FROM pg_replication_slots WHERE slot_name = $1",
      [chain.name],
    );
  }

  async #put(key: string, source: AsyncIterable<Buffer>, look: boolean): Promise<void> {
    try {
      await this.#parts.store.put(key, source, { look });
    } catch (error) {
      throw new BucketFailed(error);
    }
  }

  #segmentKey(name: string): string {
    const { chain, context } = this.#parts;
    return segmentKey(context.store.address.prefix, chain.name, name, this.#encryption);
  }

  get #encryption() {
    return describeEncryption(this.#parts.context.settings.encryption);
  }
}

/** Something could not be stored; it is tried again. */
class BucketFailed extends Error {
  constructor(cause: unknown) {
    super("the bucket does not take it", { cause });
  }
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === "ENOENT";
}
