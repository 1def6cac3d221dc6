import { readdirSync, rmSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { lsnText } from "../../storage/catalogue/walPosition.ts";
import { WalNotices } from "../notify/walNotices.ts";
import { takeWalLock } from "../postgres/advisoryLock.ts";
import { connect } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { Archiver, ChainIsLost, MOST_SEGMENTS } from "./archiver.ts";
import { BaseKeeper } from "./baseKeeper.ts";
import { openChain, type Reached } from "./chain.ts";
import { Progress } from "./progress.ts";
import { WalIsGone } from "./receiver.ts";
import { SealedStore } from "./seal.ts";
import { readWalServer, walSettings } from "./server.ts";
import { Spool } from "./spool.ts";

const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A session that lasted so long has worked: the next one need not wait. */
const LONG_MS = 60_000;
const TELL_EVERY_MS = 10_000;
const SPOOL_NAME = /^wal-\d+$/;

/** How `agent wal` works in its container. */
export interface WalOptions {
  /** Where the container's state lies, and the spool; absent: outside of one. */
  readonly stateFolder: string | undefined;
  /** An error in a sentence, free of secrets. */
  readonly describe: (error: unknown) => string;
}

/**
 * Stores the WAL of the server in the bucket as it comes, until it is stopped. Whatever fails is tried again, with pauses of half a
 * minute at most; the server is never waited for by its users.
 * @throws Problem where it is not switched on; the signal's reason
 */
export async function archiveWal(
  context: AgentContext,
  { stateFolder, describe }: WalOptions,
): Promise<void> {
  const { settings, signal, report, journal } = context;
  const { pointInTime } = settings;
  const server = walSettings(settings);
  if (pointInTime === undefined) return;
  const progress = new Progress(report, stateFolder);
  const bases = new BaseKeeper(context, pointInTime, progress);
  const notices = new WalNotices(context);
  const timer = setInterval(() => {
    void bases.look();
    void notices.tell(progress.state(), progress.wellAt, new Date());
  }, TELL_EVERY_MS);
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    bases.stop();
  });
  const store = new SealedStore(context.store, settings.encryption);
  const root = stateFolder ?? tmpdir();
  const folder = join(root, `wal-${process.pid}`);
  let reached: Reached | undefined;
  let pauseMs = SHORTEST_PAUSE_MS;
  const session = async () => {
    const client = await connect(server);
    try {
      await takeWalLock(client);
      if (stateFolder !== undefined) removeOtherSpools(root, folder);
      const found = await readWalServer(client);
      const chain = await openChain(client, context, found, reached);
      reached = { chain: chain.name, to: chain.from };
      const spool = new Spool(folder, found.segmentBytes);
      await spool.begin(chain.timeline, chain.from);
      await requireRoom(folder, found.segmentBytes);
      progress.works("server");
      progress.opened(chain.name, chain.from);
      bases.follow({ name: chain.name, summarizes: found.summarizes });
      report.line(`WAL goes into ${chain.name} from ${lsnText(chain.from)} on.`);
      const parts = { context, settings: pointInTime, server, found, client, chain, spool, store };
      const archiver = new Archiver({ ...parts, progress, describe });
      try {
        await archiver.run();
      } finally {
        await archiver.flush().catch(() => {});
        reached = { chain: chain.name, to: archiver.archived };
        const { archivedLsn } = progress.state();
        journal?.stays("wal", `the bucket has the WAL up to ${archivedLsn}`);
      }
    } finally {
      await client.end();
      rmSync(folder, { recursive: true, force: true });
    }
  };
  for (;;) {
    const began = performance.now();
    try {
      await session();
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() - began > LONG_MS) pauseMs = SHORTEST_PAUSE_MS;
      if (error instanceof ChainIsLost) {
        report.warn("The server held as much WAL as it may, and let the chain go.");
      } else if (!(error instanceof WalIsGone)) {
        progress.failed("server", describe(error));
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** What an agent that was killed has left: memory. */
function removeOtherSpools(root: string, own: string): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    if (SPOOL_NAME.test(name) && path !== own) rmSync(path, { recursive: true, force: true });
  }
}

/** @throws Problem when the spool would not fit */
async function requireRoom(folder: string, segmentBytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const needed = MOST_SEGMENTS * segmentBytes;
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new Problem(
    `${MOST_SEGMENTS} segments of WAL need ${formatBytes(needed)} in ${folder}, where ${formatBytes(free)} are free. Give the container more shared memory: shm-size in its options.`,
  );
}
