import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startRelay } from "../../support/servers/relay.ts";
import { unavailable, World } from "../world.ts";
import {
  archivedSegments,
  currentSegment,
  enableWal,
  gapsOf,
  opened,
  RunningWal,
  segmentOfServer,
  setServer,
  walEnvironment,
} from "./walWorld.ts";

/** More of them before a release: WAL_KILLS=50. */
const ROUNDS = Number(process.env["WAL_KILLS"] ?? 5);
const SEED = Number(process.env["WAL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const FAULTS = ["agent", "bucket", "server"] as const;

describe("agent wal, struck at random", { skip: unavailable, timeout: 7_200_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await enableWal(world);
    // The server's own segments are what the stored ones are held against.
    await setServer(world, { wal_keep_size: "20GB" });
    await world.query("postgres", "CREATE TABLE load (body text)");
  });
  after(() => world.stop());

  it(`has every segment as the server has it after ${ROUNDS} faults of agent, bucket and server under load`, async (t) => {
    t.diagnostic(`WAL_SEED=${SEED}`);
    const random = generator(SEED);
    const env = await walEnvironment(world);
    const bucket = env["S3_BUCKET"] ?? "";
    let away = false;
    const relay = await startRelay(env["S3_ENDPOINT"] ?? "", () =>
      away ? { status: 500, code: "InternalError" } : "pass",
    );
    t.after(() => relay.stop());
    const wal = new RunningWal(t, { ...env, S3_ENDPOINT: relay.endpoint });
    wal.start();
    const chain = await wal.chain();
    const load = new Load(world);
    load.begin();
    for (let round = 1; round <= ROUNDS; round += 1) {
      await load.batches(1 + Math.floor(random() * 20));
      const fault = FAULTS[Math.floor(random() * FAULTS.length)];
      if (fault === "agent") {
        await wal.kill();
        await load.batches(1 + Math.floor(random() * 10));
        wal.start();
      } else if (fault === "bucket") {
        away = true;
        // The load goes on: nobody waits for the bucket.
        await load.batches(20);
        away = false;
      } else {
        await world.postgres.restart("SIGQUIT");
      }
    }
    await load.end();
    const last = await currentSegment(world);
    await world.query("postgres", "SELECT pg_switch_wal()");
    await wal.until(`segment ${last}`, async () =>
      (await archivedSegments(world, bucket, chain)).includes(last),
    );
    assert.equal(await wal.chain(), chain);
    const names = await archivedSegments(world, bucket, chain);
    assert.deepEqual(gapsOf(names), []);
    for (const name of names) {
      const stored = await world.read(bucket, `shop/production/pitr/${chain}/wal/${name}.zst`);
      assert.ok(opened(stored).equals(await segmentOfServer(world, name)), name);
    }
    t.diagnostic(`${names.length} segments, ${load.done} batches`);
  });
});

/** An application that writes all the time, and begins again where the server was away. */
class Load {
  readonly #world: World;
  #running: Promise<void> = Promise.resolve();
  #wanted = true;
  #tick = Promise.withResolvers<void>();
  /** Batches of about 2 MB of WAL. */
  done = 0;

  constructor(world: World) {
    this.#world = world;
  }

  begin(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      await this.#world
        .query("postgres", "INSERT INTO load SELECT md5(i::text) FROM generate_series(1, 20000) i")
        .then(
          () => {
            this.done += 1;
          },
          // The server is away.
          () => {},
        );
      this.#tick.resolve();
      this.#tick = Promise.withResolvers();
    }
  }

  /** Waits until so many more are committed. */
  async batches(count: number): Promise<void> {
    for (const wanted = this.done + count; this.done < wanted; ) await this.#tick.promise;
  }

  async end(): Promise<void> {
    this.#wanted = false;
    await this.#running;
  }
}

/** Numbers from 0 up to 1, the same for a seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
