import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { manifestKeyOf, refused } from "../runtime/watch.ts";
import { agent, unavailable, World } from "../world.ts";

/** Bytes as zstd packs them. */
const packed = (input: Buffer) => execFileSync("zstd", ["-q", "-1", "-c"], { input });
const described = (key: string, bytes: Buffer) => ({
  key,
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});

describe("what others have put into the bucket", { skip: unavailable, timeout: 240_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  let bucket: string;
  let manifest: Manifest;
  before(async () => {
    world = await World.start();
    await world.database("vic", "CREATE TABLE t AS SELECT generate_series(1, 200) AS i");
    env = await world.environment("vic");
    bucket = env["S3_BUCKET"] ?? "";
    manifest = await world.backup(env);
  });
  after(() => world?.stop());

  it("a dump that unpacks to no archive: verify says so, as restore does", async () => {
    const stamp = "2026-01-01T00:00:00";
    const bytes = packed(Buffer.alloc(30_000_000));
    const object = described(`shop/production/vic_${stamp}.dump.zst`, bytes);
    const other: Manifest = { ...manifest, takenAt: `${stamp}Z`, compression: "zstd", object };
    await world.write(bucket, object.key, bytes);
    await world.write(bucket, manifestKeyOf(other), JSON.stringify({ ...other, globals: null }));
    for (const command of ["verify", "restore"]) {
      const outcome = await agent(env, command, stamp, "--json");
      refused(world, outcome, /does not appear to be a valid archive/);
      assert.doesNotMatch(outcome.stdout, /zstd was killed/);
    }
  });
});
