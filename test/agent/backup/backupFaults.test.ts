import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import { BIG, processOf, progressOf, refused } from "../runtime/watch.ts";
import { agent, outcomeOf, pathWith, startAgent, unavailable, World } from "../world.ts";

describe("what goes wrong with a backup", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  let bucket: string;
  before(async () => {
    world = await World.start();
    await world.database("big", ...BIG);
    env = await world.environment("big");
    bucket = env["S3_BUCKET"] ?? "";
  });
  after(() => world?.stop());

  const noTrace = async () => {
    assert.deepEqual(await world.keys(bucket), []);
    assert.equal(await world.unfinishedUploads(bucket), 0);
  };

  it("pg_dump killed midway: nothing visible, no unfinished upload", async () => {
    const child = startAgent(env, "backup", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "upload");
    process.kill(processOf(child, "pg_dump"), "SIGKILL");
    refused(
      world,
      await outcome,
      /pg_dump was killed \(signal 9\).*raise the setting "memory".*Nothing was stored/,
    );
    await noTrace();
  });

  it("the server's backend killed midway: pg_dump's own words", async () => {
    const child = startAgent(env, "backup", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "upload");
    await world.query(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'",
    );
    refused(
      world,
      await outcome,
      /pg_dump failed with exit code 1: .*(terminating connection|closed the connection)/,
    );
    await noTrace();
  });

  it("SIGTERM midway: exit code 143, the upload aborted", async () => {
    const child = startAgent(env, "backup", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "upload");
    child.kill("SIGTERM");
    const { code, events } = await outcome;
    assert.equal(code, 143);
    assert(!events.some((e) => e.event === "backup"));
    await noTrace();
  });

  it("two backups at once: the second is refused, the first completes", async () => {
    const child = startAgent(env, "backup", "--json");
    const first = outcomeOf(child);
    await progressOf(child, "upload");
    // Held in the middle, so that it lasts however fast the machine is.
    const dump = processOf(child, "pg_dump");
    process.kill(dump, "SIGSTOP");
    refused(world, await agent(env, "backup", "--json"), /another backup of "big" is running/);
    await world.write(bucket, "shop/production/big_2026-01-01T00:00:00.dump", "old");
    refused(world, await agent(env, "restore", "--json"), /a backup of "big" is running; swapping/);
    await world.s3.send(
      new DeleteObjectCommand({
        Bucket: bucket,
        Key: "shop/production/big_2026-01-01T00:00:00.dump",
      }),
    );
    process.kill(dump, "SIGCONT");
    assert.equal((await first).code, 0);
    const keys = await world.keys(bucket);
    // The refused restore has left a record of itself, and nothing else.
    assert.equal(keys.filter((key) => !key.startsWith("shop/production/restores/")).length, 3);
  });

  it("a table locked by someone else: reported after the lock's time limit, not before", async () => {
    const small = "locked";
    await world.database(small, "CREATE TABLE t (i int)");
    const other = await world.environment(small);
    const holding = world.query(
      small,
      "BEGIN",
      "LOCK TABLE t IN ACCESS EXCLUSIVE MODE",
      "SELECT pg_sleep(3)",
      "COMMIT",
    );
    const manifest = await world.backup(other);
    await holding;
    assert.deepEqual(manifest.tables, [{ schema: "public", name: "t", rows: 0, exact: true }]);
  });

  it("pg_dump that fails before its first byte is the cause, encrypted or not", async (t) => {
    await world.database(
      "sequence",
      "CREATE TABLE a AS SELECT generate_series(1, 100) g",
      "CREATE SEQUENCE sq",
      "CREATE ROLE narrow LOGIN PASSWORD 'narrow-one'",
      "GRANT SELECT ON a TO narrow",
    );
    const own: Record<string, string> = {
      ...(await world.environment("sequence")),
      POSTGRES_USER: "narrow",
      POSTGRES_PASSWORD: "narrow-one",
    };
    const version = `case "$*" in --version) PATH=\${PATH#*:}; exec pg_dump --version ;; esac`;
    const killed = { PATH: await pathWith(t, { pg_dump: `${version}; kill -9 $$` }) };
    const silent = { PATH: await pathWith(t, { pg_dump: `${version}; exit 0` }) };
    const recipient = formatRecipient(publicKeyOf(Buffer.alloc(32, 1)));
    // That each of them is recognised, whichever way the bytes take: test/agent/streams/fanOutUpload.test.ts.
    for (const [more, sentence] of [
      [
        {},
        /pg_dump failed with exit code 1: .*permission denied for sequence sq.*Nothing was stored/,
      ],
      [{ ...killed, AGE_RECIPIENTS: recipient }, /pg_dump was killed \(signal 9\)/],
      [{ ...silent, PASSPHRASE: "correct horse" }, /the backup is empty: its source ended without/],
    ] as const) {
      refused(world, await agent({ ...own, ...more }, "backup", "--json"), sentence);
    }
    assert.deepEqual(await world.keys(own["S3_BUCKET"] ?? ""), []);
  });

  it("more tables than the server can lock at once: the setting is named, and nothing is stored", async () => {
    const settings = ["max_locks_per_transaction=10", "max_connections=20"];
    const small = await World.start(undefined, { settings });
    try {
      const some = (batch: number) =>
        `DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE 'CREATE TABLE t_${batch}_' || i || ' ()'; END LOOP; END $$`;
      await small.database("wide", ...Array.from({ length: 30 }, (_, batch) => some(batch)));
      const env = await small.environment("wide");
      const outcome = await agent(env, "backup", "--json");
      refused(small, outcome, /lock table is too small.*Raise max_locks_per_transaction/);
      assert.deepEqual(await small.keys(env["S3_BUCKET"] ?? ""), []);
    } finally {
      await small.stop();
    }
  });

  it("wrong password, unknown database, unreachable host, bad options", async () => {
    const run = (changes: Record<string, string>) =>
      agent({ ...env, ...changes }, "backup", "--json");
    refused(
      world,
      await run({ POSTGRES_PASSWORD: "wrong-one" }),
      /Check POSTGRES_USER and POSTGRES_PASS/,
    );
    refused(
      world,
      await run({ POSTGRES_DATABASE: "Big" }),
      /"Big" does not exist.*Databases there: "big"/,
    );
    refused(
      world,
      await run({ POSTGRES_HOST: "nowhere.invalid" }),
      /"nowhere.invalid" cannot be resolved/,
    );
    refused(
      world,
      await run({ POSTGRES_PORT: "1" }),
      /127.0.0.1:1 cannot be reached \(ECONNREFUSED\)/,
    );
    refused(world, await run({ PGDUMP_EXTRA_OPTS: "-Fp" }), /PGDUMP_EXTRA_OPTS has "-Fp"/);
    refused(world, await run({ PGDUMP_EXTRA_OPTS: "--no-such" }), /pg_dump failed.*no-such/);
  });

  it("a client older than the server is refused before the dump", async (t) => {
    const PATH = await pathWith(t, { pg_dump: 'echo "pg_dump (PostgreSQL) 9.6.24"' });
    for (const command of ["backup", "probe"]) {
      refused(
        world,
        await agent({ ...env, PATH }, command, "--json"),
        /this image has pg_dump \(PostgreSQL\) 9\.6\.24, which cannot dump a newer server/,
      );
    }
  });

  it("a manifest that cannot be written: the error says that this backup does not count", async () => {
    await world.database("unsigned", "CREATE TABLE t (i int)");
    const own = await world.environment("unsigned");
    const keys = await world.keyThatMayPut(`arn:aws:s3:::${own["S3_BUCKET"]}/*dump*`);
    refused(
      world,
      await agent({ ...own, ...keys, BACKUP_GLOBALS: "false" }, "backup", "--json"),
      /its manifest .*\.manifest\.json could not be written.*does not count; take another one/,
    );
    refused(world, await agent(own, "restore", "--json"), /1 without a manifest are incomplete/);
  });

  it("probe leaves nothing behind and says what works", async () => {
    const own: Record<string, string> = {
      ...(await world.environment("big")),
      SCHEDULE: "@daily",
    };
    const outcome = await agent(own, "probe");
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(
      outcome.stdout,
      /next backup .*T00:00:00.000Z\n.*PostgreSQL \d+.*\n.*begun and dropped/,
    );
    assert.equal(await world.unfinishedUploads(own["S3_BUCKET"] ?? ""), 0);
    refused(
      world,
      await agent({ ...own, SCHEDULE: "sometimes" }, "probe", "--json"),
      /SCHEDULE "sometimes" cannot be read/,
    );
  });

  // The last one: it takes the service away from under all the others.
  it("the storage service stopped midway: an end with a sentence, within two minutes", async () => {
    const child = startAgent(await world.environment("big"), "backup", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "upload");
    const started = performance.now();
    await world.store.stop();
    refused(world, await outcome, /cannot upload .*(refuses connections|broke|did not answer)/);
    assert(performance.now() - started < 120_000);
    assert.deepEqual(
      await world.query("postgres", "SELECT FROM pg_locks WHERE locktype = 'advisory'"),
      [],
    );
  });
});
