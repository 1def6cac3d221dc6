import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { aliveSchema, chainSchema } from "../../../common/contracts/pointInTime.ts";
import { chainKey, parsePointInTimeKey } from "../../../storage/catalogue/pointInTimeKeys.ts";
import { segmentPlace, walBytes } from "../../../storage/catalogue/walPosition.ts";
import { unavailable, World } from "../world.ts";
import {
  archivedSegments,
  currentSegment,
  enableWal,
  gapsOf,
  opened,
  RunningWal,
  segmentOfServer,
  walEnvironment,
  writeSegments,
} from "./walWorld.ts";

const PREFIX = "shop/production";
const MiB = 1024 * 1024;

describe("agent wal", { skip: unavailable, timeout: 1_800_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start(undefined, { settings: ["wal_keep_size=1GB"] });
    await enableWal(world);
  });
  after(() => world.stop());

  it("stores each segment as the server has it, also after it was killed, and goes on in the same chain without a gap", async (t) => {
    const env = await walEnvironment(world);
    const bucket = env["S3_BUCKET"] ?? "";
    const wal = new RunningWal(t, env);
    wal.start();
    const chain = await wal.chain();
    const has = async (name: string) =>
      (await archivedSegments(world, bucket, chain)).includes(name);
    for (let round = 1; round <= 3; round += 1) {
      const first = await currentSegment(world);
      await writeSegments(world, 2);
      if (round > 1) await wal.until(`segment ${first}`, () => has(first));
      await wal.kill();
      await writeSegments(world, 2);
      const last = await currentSegment(world);
      wal.start();
      await writeSegments(world, 1);
      await wal.until(`segment ${last}`, () => has(last));
      assert.equal(await wal.chain(), chain);
    }
    const names = await archivedSegments(world, bucket, chain);
    assert.deepEqual(gapsOf(names), []);
    for (const name of names) {
      const key = `${PREFIX}/pitr/${chain}/wal/${name}.zst`;
      const stored = opened(await world.read(bucket, key));
      assert.ok(stored.equals(await segmentOfServer(world, name)), name);
    }
    const record = chainSchema.parse(
      JSON.parse(String(await world.read(bucket, chainKey(PREFIX, chain)))),
    );
    assert.equal(walBytes(record.startLsn), segmentPlace(names[0] ?? "", 16 * MiB).from);
    const marks = (await world.keys(bucket)).filter(
      (key) => parsePointInTimeKey(PREFIX, key)?.kind === "alive",
    );
    const mark = aliveSchema.parse(
      JSON.parse(String(await world.read(bucket, marks.at(-1) ?? ""))),
    );
    assert.equal(mark.chain, chain);
  });
});
