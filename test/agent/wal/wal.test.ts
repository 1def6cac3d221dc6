import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { takeBackupLock, takeBaseLock } from "../../../agent/postgres/advisoryLock.ts";
import { connect } from "../../../agent/postgres/connection.ts";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import { fromEnvironment } from "../../../common/contracts/agentEnvironment/environment.ts";
import { parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import { aliveSchema, baseSchema, chainSchema } from "../../../common/contracts/pointInTime.ts";
import { chainKey, parsePointInTimeKey } from "../../../storage/catalogue/pointInTimeKeys.ts";
import { parseRecord } from "../../../storage/catalogue/signedRecord.ts";
import { segmentName, segmentPlace, walBytes } from "../../../storage/catalogue/walPosition.ts";
import { findServerPrograms } from "../../support/servers/postgres.ts";
import { startRelay } from "../../support/servers/relay.ts";
import { agent, failure, unavailable, World } from "../world.ts";
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
  writeSegments,
} from "./walWorld.ts";

const PREFIX = "shop/production";
const MiB = 1024 * 1024;

describe("agent wal", { skip: unavailable, timeout: 1_800_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start(undefined, { settings: ["checkpoint_completion_target=0"] });
    await setServer(world, { wal_keep_size: "1GB" });
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

  it("goes on without a gap when the server was ended in order, and when it crashed, which throws the slot back", async (t) => {
    const env = await walEnvironment(world);
    const bucket = env["S3_BUCKET"] ?? "";
    const wal = new RunningWal(t, env);
    wal.start();
    const chain = await wal.chain();
    for (const signal of ["SIGINT", "SIGQUIT"] as const) {
      await writeSegments(world, 2);
      await world.postgres.restart(signal);
      const last = await currentSegment(world);
      await writeSegments(world, 1);
      await wal.until(`segment ${last}`, async () =>
        (await archivedSegments(world, bucket, chain)).includes(last),
      );
    }
    assert.equal(await wal.chain(), chain);
    const names = await archivedSegments(world, bucket, chain);
    assert.deepEqual(gapsOf(names), []);
    for (const name of names) {
      const key = `${PREFIX}/pitr/${chain}/wal/${name}.zst`;
      const stored = opened(await world.read(bucket, key));
      assert.ok(stored.equals(await segmentOfServer(world, name)), name);
    }
    await wal.until("its word that all is well", () => wal.state()?.problem === null);
    assert.match(wal.output, /^WAL is not archived: .*It is tried again\.$/m);
    assert.match(wal.output, /^WAL is archived again\.$/m);
  });

  it("holds three segments at most while the bucket is away, says so once, and catches up", async (t) => {
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
    await writeSegments(world, 1);
    away = true;
    await writeSegments(world, 6);
    const spool = () => {
      const [name = ""] = readdirSync(wal.stateFolder).filter((each) => /^wal-\d+$/.test(each));
      const folder = join(wal.stateFolder, name);
      const files = readdirSync(folder).map((each) => statSync(join(folder, each)));
      // Blocks that are taken: the one that stands in for what was archived has none.
      return files.filter(({ blocks }) => blocks > 0).length;
    };
    await wal.until("a full spool and its sentence", () => {
      assert.ok(spool() <= 3);
      return spool() === 3 && wal.state()?.problem != null;
    });
    const last = await currentSegment(world);
    await writeSegments(world, 1);
    assert.match(wal.line(), /^\d+ cannot (?:write|look at) .*InternalError/);
    away = false;
    await wal.until(`segment ${last}`, async () =>
      (await archivedSegments(world, bucket, chain)).includes(last),
    );
    assert.deepEqual(gapsOf(await archivedSegments(world, bucket, chain)), []);
    await wal.until("that all is well", () => wal.state()?.problem === null);
    assert.equal(wal.output.match(/WAL is not archived/g)?.length, 1);
  });

  it("begins a new chain with a base of its own when the server let the WAL go, which it does instead of filling its disk", async (t) => {
    const env = await walEnvironment(world);
    const bucket = env["S3_BUCKET"] ?? "";
    await setServer(world, { wal_keep_size: "0", max_slot_wal_keep_size: "48MB" });
    t.after(() => setServer(world, { wal_keep_size: "1GB", max_slot_wal_keep_size: "-1" }));
    const wal = new RunningWal(t, env);
    wal.start();
    const first = await wal.chain();
    await wal.kill();
    await writeSegments(world, 6);
    await world.query("postgres", "CHECKPOINT");
    const [slot] = await world.query(
      "postgres",
      `SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${first}'`,
    );
    assert.equal(slot?.["wal_status"], "lost");
    wal.start();
    await wal.until("another chain", () => ![undefined, null, first].includes(wal.state()?.chain));
    const second = await wal.chain();
    assert.match(wal.output, /because the server held as much WAL as it may and let the chain/);
    await wal.until("a base of the new chain", async () =>
      (await world.keys(bucket)).some((key) => {
        const parsed = parsePointInTimeKey(PREFIX, key);
        return parsed?.kind === "base" && parsed.chain === second;
      }),
    );
    const slots = await world.query("postgres", "SELECT slot_name FROM pg_replication_slots");
    assert.deepEqual(slots, [{ slot_name: second }]);
    assert.equal(wal.state()?.boundBytes, 48 * MiB);
  });

  it("refuses in a sentence what cannot work, and begins once it is mended: a server on whose archive commits would wait, a standby", async (t) => {
    const env = await walEnvironment(world);
    await setServer(world, { synchronous_standby_names: "*" });
    t.after(() => setServer(world, { synchronous_standby_names: "" }));
    const wal = new RunningWal(t, env);
    wal.start();
    await wal.until("the sentence on standbys", () =>
      /^synchronous_standby_names is "\*", so that each commit would wait/.test(
        wal.state()?.problem ?? "",
      ),
    );
    await setServer(world, { synchronous_standby_names: "" });
    const first = await wal.chain();
    await world.postgres.restart("SIGINT", async (data) => {
      await copyFile(join(data, "PG_VERSION"), join(data, "standby.signal"));
    });
    await wal.until("the sentence on a standby", () =>
      /^this server is a standby/.test(wal.state()?.problem ?? ""),
    );
    await world.query("postgres", "SELECT pg_promote()");
    await wal.until("another chain", () => wal.state()?.chain !== first);
    const second = await wal.chain();
    const key = `${PREFIX}/pitr/${second}/wal/00000002.history.zst`;
    const bucket = env["S3_BUCKET"] ?? "";
    await wal.until("the history of its timeline", async () =>
      (await world.keys(bucket)).includes(key),
    );
    assert.match(String(opened(await world.read(bucket, key))), /^1\t/);
    assert.equal(
      JSON.parse(String(await world.read(bucket, chainKey(PREFIX, second)))).timeline,
      2,
    );
  });

  it("never runs a base and a dump at once, and takes no base of a server with tablespaces of its own", async (t) => {
    const env = await walEnvironment(world);
    const wal = new RunningWal(t, env);
    wal.start();
    await wal.chain();
    const client = await connect(fromEnvironment(env).postgres);
    t.after(() => client.end());
    await takeBaseLock(client);
    const dump = await agent(env, "backup", "--json");
    assert.match(failure(dump), /^a base backup of the server is running, so this one was not/);
    await client.query("SELECT pg_advisory_unlock_all()");
    await takeBackupLock(client, "postgres");
    const base = await agent(env, "base", "--json");
    assert.match(failure(base), /^a backup of a database is running, so the base backup was not/);
    await client.query("SELECT pg_advisory_unlock_all()");
    await world.query(
      "postgres",
      "SET allow_in_place_tablespaces = on",
      "CREATE TABLESPACE fast LOCATION ''",
    );
    t.after(() => world.query("postgres", "DROP TABLESPACE fast"));
    const refused = await agent(env, "base", "--json");
    assert.match(failure(refused), /^the server has tablespaces of its own \("fast"\)/);
  });

  it("gives a server whose disk was put back to an earlier copy a chain of its own", async (t) => {
    const env = await walEnvironment(world);
    const copy = await mkdtemp(join(tmpdir(), "copy-"));
    t.after(() => rm(copy, { recursive: true }));
    const wal = new RunningWal(t, env);
    wal.start();
    const first = await wal.chain();
    await writeSegments(world, 1);
    await world.postgres.restart("SIGINT", async (data) => {
      await promisify(execFile)("cp", ["-a", data, copy]);
    });
    await writeSegments(world, 2);
    const last = await currentSegment(world);
    await writeSegments(world, 1);
    await wal.until(`segment ${last}`, async () =>
      (await archivedSegments(world, env["S3_BUCKET"] ?? "", first)).includes(last),
    );
    await wal.kill();
    await world.postgres.restart("SIGINT", async (data) => {
      await rm(data, { recursive: true });
      await promisify(execFile)("cp", ["-a", join(copy, "data"), data]);
    });
    wal.start();
    await wal.until("another chain", () => ![undefined, null, first].includes(wal.state()?.chain));
    assert.match(wal.output, /because the server has less WAL than was archived/);
  });
});
