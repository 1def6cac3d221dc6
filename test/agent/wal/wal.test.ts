import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import { parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import { aliveSchema, baseSchema, chainSchema } from "../../../common/contracts/pointInTime.ts";
import { chainKey, parsePointInTimeKey } from "../../../storage/catalogue/pointInTimeKeys.ts";
import { parseRecord } from "../../../storage/catalogue/signedRecord.ts";
import { segmentName, segmentPlace, walBytes } from "../../../storage/catalogue/walPosition.ts";
import { findServerPrograms } from "../../support/servers/postgres.ts";
import { agent, unavailable, World } from "../world.ts";
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

  it("takes a base backup by a key that may put and nothing else, which its recipient alone can read and PostgreSQL's own tools find whole", async (t) => {
    const identity = generateIdentity();
    const env = await walEnvironment(world);
    const bucket = env["S3_BUCKET"] ?? "";
    const sealedEnv = {
      ...env,
      ...(await world.keyThatMay(bucket, "s3:PutObject", "s3:AbortMultipartUpload")),
      AGE_RECIPIENTS: formatRecipient(publicKeyOf(parseIdentity(identity))),
      SIGNING_KEYS: Buffer.alloc(32, 7).toString("base64url"),
    };
    const wal = new RunningWal(t, sealedEnv);
    wal.start();
    const chain = await wal.chain();
    // More than one part of the upload.
    await world.query(
      "postgres",
      "CREATE TABLE payload AS SELECT md5(random()::text) AS body FROM generate_series(1, 200000)",
    );
    const outcome = await agent(sealedEnv, "base", "--json");
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    const event = outcome.events.find((each) => each.event === "base");
    assert.ok(event?.event === "base");
    const { base } = event;
    assert.equal(base.chain, chain);
    const keys = await world.keys(bucket);
    const kept = keys.filter((key) => key.startsWith(`${PREFIX}/pitr/${chain}/`));
    const plain = kept.filter((key) => !key.endsWith(".age"));
    const stem = `${PREFIX}/pitr/${chain}/base/${base.stamp}`;
    assert.deepEqual(plain, [
      `${stem}.backup_manifest.zst`,
      `${stem}.json`,
      chainKey(PREFIX, chain),
    ]);
    const mark = String(await world.read(bucket, `${stem}.json`));
    const signer = parseSigningKeys(sealedEnv.SIGNING_KEYS, "key");
    const read = parseRecord(mark, baseSchema, signer, "base backup");
    assert.deepEqual([read?.record, read?.signature], [base, "signed"]);

    const folder = await mkdtemp(join(tmpdir(), "base-"));
    t.after(() => rm(folder, { recursive: true }));
    const key = join(folder, "identity");
    await writeFile(key, `${identity}\n`, { mode: 0o600 });
    const stored = await world.read(bucket, `${stem}.tar.zst.age`);
    assert.equal(createHash("sha256").update(stored).digest("hex"), base.sha256);
    assert.throws(() => opened(stored));
    const tar = opened(stored, ["age", "-d", "-i", key]);
    assert.equal(tar.length, base.unpackedBytes);
    const data = join(folder, "data");
    await mkdir(data);
    execFileSync("tar", ["-x", "-C", data], { input: tar });
    const files = opened(await world.read(bucket, `${stem}.backup_manifest.zst`));
    assert.ok(files.equals(await readFile(join(data, "backup_manifest"))));
    const programs = await findServerPrograms();
    execFileSync(join(programs?.dir ?? "", "pg_verifybackup"), ["--no-parse-wal", data]);
    // The WAL that it needs was there before its mark.
    const names = await archivedSegments(world, bucket, chain);
    for (const lsn of [base.startLsn, base.endLsn]) {
      assert.ok(names.includes(segmentName(base.timeline, walBytes(lsn), 16 * MiB)), lsn);
    }
    const first = names[0] ?? "";
    const segment = await world.read(bucket, `${PREFIX}/pitr/${chain}/wal/${first}.zst.age`);
    assert.ok(
      opened(segment, ["age", "-d", "-i", key]).equals(await segmentOfServer(world, first)),
    );
  });
});
