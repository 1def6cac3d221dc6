import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { readContents } from "../../../agent/archive/contents.ts";
import type { Report } from "../../../agent/runtime/reporter.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";
import { startRelay } from "../../support/servers/relay.ts";
import { twoBuckets } from "../backup/twoBuckets.ts";
import { manifestKeyOf, refused } from "../runtime/watch.ts";
import { agent, failure, unavailable, World } from "../world.ts";

/** Bytes as zstd packs them. */
const packed = (input: Buffer) => execFileSync("zstd", ["-q", "-1", "-c"], { input });
const described = (key: string, bytes: Buffer) => ({
  key,
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});

describe("what others have put into the bucket", { skip: unavailable, timeout: 900_000 }, () => {
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

  it("roles that unpack to far too much, that lie elsewhere, or are too many: a sentence that names the object", async () => {
    const many = packed(Buffer.alloc(20_000_000, ";"));
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

  it("manifests that are too large as a text or in memory: a remark, a sentence, and the next backup", async () => {
    const small = { ...env, NODE_OPTIONS: "--max-old-space-size=128" };
    const stamp = manifest.takenAt.replace("Z", "");
    const objects = (count: number) => `[${"{},".repeat(count)}{}]`;
    const { tables: _, ...rest } = manifest;
    const ROWS: [body: string, sentence: RegExp][] = [
      [
        JSON.stringify({ ...manifest, pgDump: "x".repeat(40_000_000) }),
        /manifest\.json has 40 MB, so it was not read/,
      ],
      [`{"tables":${objects(5_000_000)}}`, /is not valid: it has more in it than any backup has/],
      [
        JSON.stringify({ ...rest }).replace(/}$/, `,"tables":${objects(600_000)}}`),
        /is not valid: tables\./,
      ],
      [`{"recipients":${objects(600_000)}}`, /is not valid: a list in it has 600001 entries/],
      ["null", /is not valid: Invalid input/],
    ];
    for (const [body, sentence] of ROWS) {
      await world.write(bucket, manifestKeyOf(manifest), body);
      const listed = await agent(small, "list");
      assert.equal(listed.code, 0, listed.stderr.slice(0, 2000));
      assert.match(listed.stderr, sentence);
    }
    for (const [body, sentence] of ROWS.slice(0, 3)) {
      await world.write(bucket, manifestKeyOf(manifest), body);
      refused(world, await agent(small, "restore", stamp, "--json"), sentence);
    }
    const after = await agent(small, "backup", "--json");
    assert.equal(after.code, 0, failure(after));
    // A later one has become the reference by now; alone, it is named as the one that is not compared with.
    const alone: Record<string, string> = {
      ...(await world.environment("vic")),
      NODE_OPTIONS: small.NODE_OPTIONS,
    };
    const first = await world.backup(alone);
    await world.write(alone["S3_BUCKET"] ?? "", manifestKeyOf(first), ROWS[0]?.[0] ?? "");
    const next = await agent(alone, "backup", "--json");
    assert.equal(next.code, 0, failure(next));
    assert.match(next.stderr, /not compared with the backup of .*has 40 MB, so it was not read/);
    await world.write(bucket, manifestKeyOf(manifest), JSON.stringify(manifest));
  });

  it("the same of a copy: the bounds hold there, for manifests and for roles", async () => {
    const { env: own, copy } = await twoBuckets(world, "vic");
    const small = { ...own, NODE_OPTIONS: "--max-old-space-size=128" };
    const { code, events } = await agent(small, "backup", "--json");
    assert.equal(code, 0);
    const copied = events.find((each) => each.event === "copied");
    assert(copied?.event === "copied" && copied.manifest.globals !== null);
    const there = copied.manifest;
    const packedRoles = packed(Buffer.alloc(20_000_000, ";"));
    const globals = described(copied.manifest.globals.key, packedRoles);
    await world.write(copy, globals.key, packedRoles);
    await world.write(copy, manifestKeyOf(there), JSON.stringify({ ...there, globals }));
    const words = ["restore", "--copy", "--globals", "--dry-run", "--yes", "--json"];
    refused(world, await agent(small, ...words), /the roles and grants, unpacks to more than/);
    const large = JSON.stringify({ ...there, pgDump: "x".repeat(40_000_000) });
    await world.write(copy, manifestKeyOf(there), large);
    const sentence = /manifest\.json has 40 MB, so it was not read/;
    const listed = await agent(small, "list", "--copy");
    assert.equal(listed.code, 0, listed.stderr.slice(0, 2000));
    assert.match(listed.stderr, sentence);
    const stamp = there.takenAt.replace("Z", "");
    refused(world, await agent(small, "restore", stamp, "--copy", "--json"), sentence);
    const next = await agent(small, "backup", "--json");
    assert.equal(next.code, 0, failure(next));
  });

  it("a table of contents of more than 16 MiB of text is not looked at beforehand, with a notice", async () => {
    await world.database(
      "wordy",
      "CREATE TABLE t AS SELECT generate_series(1, 200) AS i",
      "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE t IS %L', repeat('x', 17 * 1024 * 1024)); END $$",
    );
    const { host, port, user, password } = world.postgres;
    const words = ["-Fc", "-Z", "0", "-h", host, "-p", String(port), "-U", user, "wordy"];
    const archive = execFileSync("pg_dump", words, {
      env: { ...process.env, PGPASSWORD: password },
      maxBuffer: 64 * 1024 * 1024,
    });
    const store = new MemoryStore();
    store.set("wordy", archive);
    const warnings: string[] = [];
    const report = { warn: (text: string) => warnings.push(text) } as unknown as Report;
    const context = { store, signal: new AbortController().signal, report };
    const decoder = { program: "none" } as const;
    const contents = await readContents(context, "wordy", decoder, { withOwners: true });
    assert.equal(contents, undefined);
    assert.deepEqual(warnings, [
      "wordy: what stands in its table of contents is longer than 17 MB of text, so it was not looked at beforehand.",
    ]);
  });

  it("several manifests near the limit are listed within the memory", async () => {
    const own = await world.environment("vic");
    const to = own["S3_BUCKET"] ?? "";
    const tables = Array.from({ length: 120_000 }, (_, i) => ({
      schema: "public",
      name: `a table with a long name ${i}`,
      rows: i,
      exact: true,
    }));
    for (let day = 1; day <= 4; day += 1) {
      const stamp = `2026-01-0${day}T00:00:00`;
      const object = described(`shop/production/vic_${stamp}.dump.zst`, Buffer.from("x"));
      const large = { ...manifest, takenAt: `${stamp}Z`, object, globals: null, tables };
      await world.write(to, object.key, "x");
      await world.write(to, `shop/production/vic_${stamp}.manifest.json`, JSON.stringify(large));
    }
    const listed = await agent({ ...own, NODE_OPTIONS: "--max-old-space-size=128" }, "list");
    assert.equal(listed.code, 0, listed.stderr.slice(0, 2000));
    assert.equal(listed.stdout.match(/2026-01-0\dT/g)?.length, 4);
  });

  it("a web page in the manifest's place: the service does not answer, the backup is not to blame", async (t) => {
    const relay = await startRelay(world.store.endpoint, (method, path) =>
      method === "GET" && path.includes("manifest.json")
        ? { acknowledge: "<!DOCTYPE html><html><p>Log in</p></html>", contentType: "text/html" }
        : "pass",
    );
    t.after(() => relay.stop());
    const through = { ...env, S3_ENDPOINT: relay.endpoint };
    const stamp = manifest.takenAt.replace("Z", "");
    const outcome = await agent(through, "verify", stamp, "--json");
    refused(world, outcome, /cannot read the manifest .*did not answer in S3's language/);
    assert.doesNotMatch(failure(outcome), /cannot be trusted/);
  });

  it("a name that a terminal would obey is shown instead", async () => {
    const name = "evil\u001b[2J\u009b31m\rname";
    const own = { ...(await world.environment("vic")), POSTGRES_DATABASE: name };
    for (const args of [["list"], ["restore", "--json"]]) {
      const { stdout, stderr } = await agent(own, ...args);
      assert.doesNotMatch(stdout + stderr, /(?!\n)[\p{Cc}]/u);
    }
  });
});
