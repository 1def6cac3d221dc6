import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { manifestKeyOf, refused } from "../runtime/watch.ts";
import { agent, failure, unavailable, World } from "../world.ts";

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

  /** A true backup whose roles are others, as whoever may write can make it. */
  const withRoles = async (bytes: Buffer, more: Partial<Manifest> = {}) => {
    const globals = described(manifest.globals?.key ?? "", bytes);
    await world.write(bucket, globals.key, bytes);
    await world.write(
      bucket,
      manifestKeyOf(manifest),
      JSON.stringify({ ...manifest, globals, ...more }),
    );
  };
  const roleNamed = async (name: string) =>
    (
      await world.query(
        "postgres",
        `SELECT rolsuper, rolcreaterole, rolcanlogin, rolpassword IS NULL AS none FROM pg_authid WHERE rolname = '${name}'`,
      )
    )[0];

  it("roles with a superuser, a password and a program: none of them is had without consent", async () => {
    const sql = [
      "CREATE ROLE innocent;",
      "ALTER ROLE innocent WITH SUPERUSER LOGIN PASSWORD 'x';",
      "CREATE ROLE helper; GRANT postgres TO helper; GRANT innocent TO helper;",
      "CREATE ROLE \"x\"; COPY (SELECT 1) TO PROGRAM 'cat > pwned2';",
    ].join("\n");
    await withRoles(packed(Buffer.from(sql)));
    const restored = await agent(env, "restore", "--globals", "--into", "vicr", "--yes", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const plain = { rolsuper: false, rolcreaterole: false, rolcanlogin: true, none: true };
    assert.deepEqual(await roleNamed("innocent"), plain);
    for (const said of [
      /a password for the role "innocent" was taken out/,
      /left out, since only plain statements about roles are run: "COPY \(SELECT 1\) TO PROGRAM/,
      /Not restored: "innocent" SUPERUSER, which reaches beyond a database and needs --allow-privileged-roles/,
      /Not restored: "helper" membership in "postgres", which reaches/,
    ]) {
      assert.match(restored.stderr, said);
    }
    const members = await world.query(
      "postgres",
      "SELECT pg_has_role('helper', 'innocent', 'MEMBER') AS a, pg_has_role('helper', 'postgres', 'MEMBER') AS b",
    );
    assert.deepEqual(members, [{ a: true, b: false }]);

    await world.query("postgres", "DROP ROLE helper", "DROP ROLE innocent", 'DROP ROLE "x"');
    const consent = ["--globals", "--allow-privileged-roles", "--into", "vicr2", "--yes", "--json"];
    const consented = await agent(env, "restore", ...consent);
    assert.equal(consented.code, 0, failure(consented));
    assert.deepEqual(await roleNamed("innocent"), { ...plain, rolsuper: true });
    assert.match(
      consented.stderr,
      /--allow-privileged-roles gives "innocent" SUPERUSER; "helper" membership in "postgres"/,
    );
    await world.query("postgres", "DROP ROLE helper", "DROP ROLE innocent", 'DROP ROLE "x"');
  });

  it("roles that unpack to 2 GB, that lie elsewhere, or are too many: a sentence that names the object", async () => {
    const many = execFileSync("sh", [
      "-c",
      "head -c 2000000000 /dev/zero | tr '\\0' ';' | zstd -q -1 -c",
    ]);
    await withRoles(many);
    const run = () => agent(env, "restore", "--globals", "--dry-run", "--yes", "--json");
    refused(
      world,
      await run(),
      /globals\.sql\.zst, the roles and grants, unpacks to more than .* of text\. Restore without --globals/,
    );
    for (const key of [
      "../../other/secret",
      "shop/production/other_2026-01-01T00:00:00.globals.sql.zst",
      "x",
    ]) {
      const globals = { ...described(key, many) };
      await world.write(bucket, manifestKeyOf(manifest), JSON.stringify({ ...manifest, globals }));
      refused(
        world,
        await run(),
        /the roles and grants, does not belong to this backup, whose roles would be shop/,
      );
    }
    await world.write(bucket, manifestKeyOf(manifest), JSON.stringify(manifest));
  });
});
