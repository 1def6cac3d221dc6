import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { defaultLimitHours } from "../../../agent/restore/plan.ts";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { BIG, BIG_ROWS, manifestKeyOf, progressOf, refused } from "../runtime/watch.ts";
import { agent, failure, outcomeOf, startAgent, unavailable, World } from "../world.ts";

describe("what goes wrong with a restore", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  before(async () => {
    world = await World.start();
    await world.database("big", ...BIG);
    env = await world.environment("big");
    await world.backup(env);
  });
  after(() => world?.stop());

  const liveRows = async () =>
    (await world.query("big", "SELECT count(*)::int AS n FROM noise"))[0];

  it("the agent killed midway through a restore: live untouched, the second try works", async () => {
    const child = startAgent(env, "restore", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "download");
    child.kill("SIGKILL");
    await outcome;
    assert.deepEqual(await liveRows(), { n: BIG_ROWS });
    assert((await world.databases()).some((name) => name.startsWith("big_restore_")));

    await world.query("big", "DELETE FROM noise WHERE i > 10");
    const again = await agent(env, "restore", "--json");
    assert.equal(again.code, 0, failure(again));
    assert.deepEqual(await liveRows(), { n: BIG_ROWS });
    assert(!(await world.databases()).some((name) => name.startsWith("big_restore_")));
  });

  it("SIGTERM midway through a restore: the unfinished database is dropped", async () => {
    const child = startAgent(env, "restore", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "download");
    child.kill("SIGTERM");
    assert.equal((await outcome).code, 143);
    assert(!(await world.databases()).some((name) => name.startsWith("big_restore_")));
    assert.deepEqual(await liveRows(), { n: BIG_ROWS });
  });

  it("longer than its limit: stopped as by a signal, and the limit leaves a large database the time that it needs", async () => {
    for (const [databaseBytes, hours] of [
      [5e9, 24],
      [1e12, 100],
      [1e15, 596],
    ] as const) {
      assert.equal(defaultLimitHours({ bytes: 0 }, { databaseBytes }), hours);
    }
    assert.equal(defaultLimitHours({ bytes: 1e11 }, null), 100);
    const before = await world.databases();
    const stopped = await agent(env, "restore", "--max-hours", "0.0000001", "--json");
    refused(
      world,
      stopped,
      /^stopped after 1e-7 h, the longest that it may take \(--max-hours\), before it was complete; nothing was stored or changed/,
    );
    assert.deepEqual(await world.databases(), before);
    for (const wrong of ["0", "597", "two", "-1", "1e3"]) {
      refused(
        world,
        await agent(env, "restore", `--max-hours=${wrong}`, "--json"),
        /^--max-hours .* must be a number of hours above 0, and 596 at most\.$/,
      );
    }
  });

  it("a bucket that refuses to give the rest: the key is named, the unfinished database is dropped", async () => {
    let asked = 0;
    const relay = await startRelay(world.store.endpoint, (method, path) => {
      if (method !== "GET" || !/\.(pgdump|dump\.zst)\?x-id/.test(path)) return "pass";
      asked += 1;
      // Its contents are looked at twice before; what was cut is asked for again from where it was.
      if (asked === 3) return "cut";
      return asked < 3 ? "pass" : { status: 403, code: "AccessDenied" };
    });
    const outcome = await agent({ ...env, S3_ENDPOINT: relay.endpoint }, "restore", "--json");
    await relay.stop();
    assert.ok(relay.count("refused") > 0, "it was refused");
    refused(world, outcome, /cannot read \S+: the access key may not do this/);
    assert(!(await world.databases()).some((name) => name.startsWith("big_restore_")));
    assert.deepEqual(await liveRows(), { n: BIG_ROWS });
  });

  it("what is changed at the live database while a restore runs stays, and one that has another name by then is said", async () => {
    await world.database("changing", "CREATE TABLE t AS SELECT 1 AS i");
    const own = await world.environment("changing");
    await world.backup(own);
    // Its contents are looked at twice before; then the rows are read.
    const restoreWhile = async (...statements: string[]) => {
      let asked = 0;
      const relay = await startRelay(world.store.endpoint, async (method, path): Promise<Fate> => {
        if (method === "GET" && /\.(pgdump|dump\.zst)\?x-id/.test(path)) asked += 1;
        if (asked === 3) await world.query("postgres", ...statements.splice(0));
        return "pass";
      });
      const outcome = await agent({ ...own, S3_ENDPOINT: relay.endpoint }, "restore", "--json");
      await relay.stop();
      assert.ok(asked >= 3, "they were read");
      return outcome;
    };
    const changed = await restoreWhile(
      "ALTER DATABASE changing SET work_mem = '3MB'; ALTER DATABASE changing CONNECTION LIMIT 77",
      "COMMENT ON DATABASE changing IS 'mind the step'; REVOKE CONNECT ON DATABASE changing FROM PUBLIC",
    );
    assert.equal(changed.code, 0, failure(changed));
    const [now] = await world.query(
      "postgres",
      `SELECT datconnlimit, datacl::text, shobj_description(oid, 'pg_database') AS comment,
              (SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings
       FROM pg_database d WHERE datname = 'changing'`,
    );
    assert.deepEqual(now, {
      datconnlimit: 77,
      datacl: "{=T/postgres,postgres=CTc/postgres}",
      comment: "mind the step",
      settings: "{work_mem=3MB}",
    });
    const renamed = await restoreWhile("ALTER DATABASE changing RENAME TO changing_aside");
    assert.match(
      failure(renamed),
      /^"changing" was renamed or dropped while the restore ran, so nothing was put in its place\./,
    );
    assert.ok(!(await world.databases()).some((name) => name.startsWith("changing_restore_")));
  });

  it("one changed byte, at any place: refused, the live database untouched", async () => {
    await world.database("changed", "CREATE TABLE t AS SELECT generate_series(1, 20000) AS i");
    const own = await world.environment("changed");
    const manifest = await world.backup(own);
    const original = await world.read(own["S3_BUCKET"] ?? "", manifest.object.key);
    for (const place of [0, 0.5, 1]) {
      const bytes = Buffer.from(original);
      const at = Math.floor(place * (bytes.length - 1));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await world.write(own["S3_BUCKET"] ?? "", manifest.object.key, bytes);
      refused(
        world,
        await agent(own, "restore", "--json"),
        /is damaged: its SHA-256 is [0-9a-f]{64}.*The live database was not touched/,
      );
    }
    // Cut short: the listing alone tells, before anything is made.
    await world.write(own["S3_BUCKET"] ?? "", manifest.object.key, original.subarray(0, 100));
    refused(
      world,
      await agent(own, "restore", "--json"),
      /was overwritten: it has 100 bytes, its manifest says \d+\./,
    );
    const names = await world.databases();
    assert(!names.some((name) => /changed_(restore|before)_/.test(name)), names.join());
  });

  it("data that differs from the manifest: refused, the live database untouched", async () => {
    await world.database("differs", "CREATE TABLE t AS SELECT generate_series(1, 10) AS i");
    const own = await world.environment("differs");
    const manifest = await world.backup(own);
    const key = manifestKeyOf(manifest);
    const write = (text: unknown) => world.write(own["S3_BUCKET"] ?? "", key, JSON.stringify(text));
    const ghost = { schema: "public", name: "ghost", rows: 1, exact: true };
    await write({
      ...manifest,
      tables: [{ schema: "public", name: "t", rows: 11, exact: true }, ghost],
      largeObjects: 2,
    });
    refused(
      world,
      await agent(own, "restore", "--json"),
      /public\.t: 10 rows instead of 11; public\.ghost: missing instead of 1; large objects: 0 instead of 2/,
    );
    await write({ ...manifest, version: 2 });
    refused(
      world,
      await agent(own, "restore", "--json"),
      /has version 2, this program reads version 1/,
    );
    await write({ ...manifest, server: { ...manifest.server, major: 99, version: "99.1" } });
    refused(world, await agent(own, "restore", "--json"), /is of PostgreSQL 99\.1.*or newer/);
    assert(!(await world.databases()).some((name) => name.startsWith("differs_")));
  });

  it("a missing manifest, no such time, an empty bucket", async () => {
    await world.database("gone", "CREATE TABLE t (i int)");
    const own = await world.environment("gone");
    refused(world, await agent(own, "restore", "--json"), /no backup of gone in s3:/);
    const manifest = await world.backup(own);
    refused(
      world,
      await agent(own, "restore", "2001-02-03T04:05:06", "--json"),
      /The nearest is 20/,
    );
    await world.s3.send(
      new DeleteObjectCommand({ Bucket: own["S3_BUCKET"], Key: manifestKeyOf(manifest) }),
    );
    refused(world, await agent(own, "restore", "--json"), /1 without a manifest are incomplete/);
    const stamp = manifest.takenAt.replace("Z", "");
    refused(
      world,
      await agent(own, "restore", stamp, "--json"),
      /is incomplete: its manifest is missing/,
    );
    const listed = await agent(own, "list");
    assert.match(listed.stdout, /incomplete: no manifest/);
  });

  it("a role that may not end other sessions or rename: refused, and nothing changed", async () => {
    await world.database("owned", "CREATE TABLE t (i int)");
    await world.query("postgres", "CREATE ROLE limited LOGIN CREATEDB PASSWORD 'limited-password'");
    const own = {
      ...(await world.environment("owned")),
      POSTGRES_USER: "limited",
      POSTGRES_PASSWORD: "limited-password",
    };
    refused(
      world,
      await agent(own, "backup", "--json"),
      /may not read every table.*pg_read_all_data/,
    );
    await world.query("postgres", "GRANT pg_read_all_data TO limited");
    const manifest = await world.backup(own);
    assert.equal(manifest.tables.length, 1);
    refused(
      world,
      await agent(own, "restore", "--json"),
      /the role "limited" lacks what this restore needs: membership in "postgres", which owns the new database: GRANT "postgres" TO "limited"\. .*Nothing was changed\.$/,
    );
    assert(!(await world.databases()).some((name) => name.startsWith("owned_")));
  });

  it("no space for the second copy: explained, the live database untouched", async (t) => {
    const room = await world.smallTablespace(48);
    if (room === undefined) return t.skip("needs root and the right to mount a tmpfs");
    try {
      await world.query("postgres", "CREATE DATABASE tight TABLESPACE small");
      const fill = "SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 40000) i";
      await world.query("tight", `CREATE TABLE t AS ${fill}`);
      const own = await world.environment("tight");
      await world.backup(own);
      refused(
        world,
        await agent(own, "restore", "--json"),
        /(No space left|could not (be made|extend)).*"tight" was not touched|could not be made: .*No space left.*Nothing was changed/,
      );
      assert.deepEqual(await world.query("tight", "SELECT count(*)::int AS n FROM t"), [
        { n: 40000 },
      ]);
      assert(!(await world.databases()).some((name) => name.startsWith("tight_")));
      await world.query("postgres", "DROP DATABASE tight", "DROP TABLESPACE small");
    } finally {
      await room.unmount();
    }
  });
});
