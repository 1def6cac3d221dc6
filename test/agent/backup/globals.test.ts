import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { processesWith } from "../../../sandbox/host/processes.ts";
import { agent, failure, keyBeside, pathWith, unavailable, World } from "../world.ts";

describe("roles and grants beside the dump", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.query(
      "postgres",
      "CREATE ROLE reader NOLOGIN",
      `CREATE ROLE "o'dd ""role""" LOGIN PASSWORD 'hidden-one' IN ROLE reader`,
    );
  });
  after(() => world?.stop());

  it("are stored without passwords, and the manifest has their digest", async () => {
    for (const name of ["plain", `My "odd" db='é \\ %2F`]) {
      await world.database(name, "CREATE TABLE t (i int)");
      const env = await world.environment(name);
      const manifest = await world.backup(env);
      const { globals } = manifest;
      assert(globals);
      assert.equal(globals.key, keyBeside(manifest, "globals.sql.zst"));
      const bytes = await world.read(env["S3_BUCKET"] ?? "", globals.key);
      assert.equal(bytes.length, globals.bytes);
      assert.equal(createHash("sha256").update(bytes).digest("hex"), globals.sha256);
      const sql = execFileSync("zstd", ["-d", "-c"], { input: bytes, encoding: "utf8" });
      assert.match(sql, /CREATE ROLE "o'dd ""role""";/);
      assert.match(sql, /GRANT reader TO "o'dd ""role"""/);
      assert.doesNotMatch(sql, /PASSWORD|hidden-one|SCRAM/);
    }
  });

  it("are left out when asked", async () => {
    const env: Record<string, string> = {
      ...(await world.environment("plain")),
      BACKUP_GLOBALS: "false",
    };
    const { globals } = await world.backup(env);
    assert.equal(globals, null);
    assert.equal((await world.keys(env["S3_BUCKET"] ?? "")).length, 2);
  });

  it("that the role may not read are missing with a warning, not a failure", async () => {
    await world.query("postgres", "CREATE ROLE limited LOGIN PASSWORD 'limited-one'");
    // As on services that hide it.
    await world.query(
      "plain",
      "GRANT SELECT ON t TO limited",
      "REVOKE SELECT ON pg_catalog.pg_auth_members FROM PUBLIC",
    );
    const env: Record<string, string> = {
      ...(await world.environment("plain")),
      POSTGRES_USER: "limited",
      POSTGRES_PASSWORD: "limited-one",
      PGDUMP_EXTRA_OPTS: "--no-comments",
    };
    const outcome = await agent(env, "backup", "--json");
    assert.match(outcome.stderr, /roles and grants are not in this backup.*"limited" may not read/);
    assert.equal(outcome.code, 0, failure(outcome));
    const event = outcome.events.find((e) => e.event === "backup");
    assert.equal(event?.event === "backup" && event.manifest.globals, null);
    assert.equal((await world.keys(env["S3_BUCKET"] ?? "")).length, 2);
  });

  it("that fail for another reason fail the backup, and nothing is stored", async (t) => {
    const env = await world.environment("plain");
    const PATH = await pathWith(t, { pg_dumpall: "echo no such thing >&2; exit 7" });
    const outcome = await agent({ ...env, PATH }, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(
      failure(outcome),
      /roles and grants cannot be dumped: pg_dumpall failed with exit code 7: no such thing; BACKUP_GLOBALS=false/,
    );
    assert.deepEqual(await world.keys(env["S3_BUCKET"] ?? ""), []);
    assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
  });

  it("that are still being dumped end with a dump that fails", async (t) => {
    const env = await world.environment("plain");
    const marker = `600.${process.pid}`;
    const PATH = await pathWith(t, {
      pg_dumpall: `exec sleep ${marker}`,
      pg_dump: `case "$*" in --version) PATH=\${PATH#*:}; exec pg_dump --version ;; esac; sleep 1; exit 3`,
    });
    const outcome = await agent({ ...env, PATH }, "backup", "--json");
    assert.match(failure(outcome), /pg_dump failed with exit code 3/);
    assert.deepEqual(await processesWith(`sleep ${marker}`), []);
  });
});
