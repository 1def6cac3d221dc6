import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { recordKey } from "../../../storage/catalogue/objectKeys.ts";
import { stockBlock } from "../../support/recoveryPage.ts";
import { query, startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";
import { agent, failure, keyBeside, type Outcome, unavailable, World } from "../world.ts";

const notRestored = (outcome: Outcome): readonly string[] => {
  const found = outcome.events.find((e) => e.event === "restored" || e.event === "planned");
  assert.equal(outcome.code, 0, failure(outcome) + outcome.stderr);
  assert(found?.event === "restored" || found?.event === "planned");
  return found.notRestored;
};

/** What `pg_dump` of a database does not show, by name. */
const PROPERTIES = `SELECT pg_get_userbyid(datdba) AS owner, datcollate, datctype, datlocprovider, daticulocale,
    pg_encoding_to_char(encoding) AS encoding, datconnlimit, datistemplate, datacl::text,
    shobj_description(oid, 'pg_database') AS comment,
    ARRAY(SELECT setrole::regrole::text || ' ' || setconfig::text FROM pg_db_role_setting
          WHERE setdatabase = d.oid ORDER BY 1) AS settings
  FROM pg_database d WHERE datname = $1`;

/** As SECURITY LABEL leaves one, for which a provider would have to be loaded. */
const labelOf = (database: string) =>
  `INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'not_here', 'it''s top'
     FROM pg_database WHERE datname = '${database}'`;
const LABEL_LOST =
  'the database\'s security label of "not_here": that provider is not loaded on this server';

describe("a restore of the whole database", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  /** Another server, made with another superuser, in another locale. */
  let other: TestPostgres;
  before(async () => {
    [world, other] = await Promise.all([
      World.start(),
      startPostgres({
        user: "ops",
        name: "other",
        text: { encoding: "SQL_ASCII", locale: "C" },
      }),
    ]);
    await world.query(
      "postgres",
      "CREATE ROLE app LOGIN",
      "CREATE ROLE readers",
      "CREATE ROLE alice LOGIN IN ROLE readers",
    );
  });
  after(() => Promise.all([world?.stop(), other?.stop()]));

  /** The same bucket, with the other server. */
  const there = (env: Record<string, string>, database = env["POSTGRES_DATABASE"] ?? "") => ({
    ...env,
    POSTGRES_PORT: String(other.port),
    POSTGRES_USER: other.user,
    POSTGRES_PASSWORD: other.password,
    POSTGRES_DATABASE: database,
  });
  const on = (server: TestPostgres, database: string, ...statements: string[]) =>
    query(server, database, ...statements);
  const properties = async (server: TestPostgres, database: string) => {
    const [row] = await on(
      server,
      "postgres",
      PROPERTIES.replace("$1", `'${database.replaceAll("'", "''")}'`),
    );
    return row;
  };

  /** A database with everything that belongs to a database. */
  const ledger = async (name: string) => {
    const quoted = `"${name}"`;
    await world.query(
      "postgres",
      `CREATE DATABASE ${quoted} OWNER app TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' CONNECTION LIMIT 40`,
      `ALTER DATABASE ${quoted} SET timezone = 'Asia/Tokyo'`,
      `ALTER DATABASE ${quoted} SET app.tenant = 'ac''me \\ "x"'`,
      `ALTER DATABASE ${quoted} SET search_path = 'a, b', "Big", public`,
      `ALTER ROLE alice IN DATABASE ${quoted} SET statement_timeout = '9s'`,
      `REVOKE CONNECT ON DATABASE ${quoted} FROM PUBLIC`,
      `GRANT CONNECT ON DATABASE ${quoted} TO readers WITH GRANT OPTION`,
      `REVOKE TEMPORARY ON DATABASE ${quoted} FROM app`,
      `COMMENT ON DATABASE ${quoted} IS 'the books; "ü" it''s' `,
      `ALTER DATABASE ${quoted} IS_TEMPLATE true`,
    );
    await world.query(
      name,
      "SET ROLE app",
      "CREATE TABLE public.entries (id int PRIMARY KEY, t text)",
      "INSERT INTO public.entries VALUES (1, 'a'), (2, 'B')",
    );
    return world.environment(name);
  };

  it("on another server has the owner, locale, settings, grants, limit and comment of the backup", async () => {
    const env = await ledger("ledger");
    const manifest = await world.backup(env);
    const expected = await properties(world.postgres, "ledger");
    assert.deepEqual(notRestored(await agent(there(env), "restore", "--globals", "--json")), []);
    assert.deepEqual(await properties(other, "ledger"), expected);
    // The superuser of the first server, whom nothing of this names, is not made.
    const made = await on(
      other,
      "postgres",
      "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'",
    );
    assert.deepEqual(made.map(({ rolname }) => rolname).toSorted(), [
      "alice",
      "app",
      "ops",
      "readers",
    ]);
    const [member] = await on(
      other,
      "postgres",
      "SELECT pg_has_role('alice', 'readers', 'MEMBER') AS is",
    );
    assert.equal(member?.["is"], true);
    await on(other, "ledger", "SET ROLE app", "CREATE TABLE public.x (i int)");

    // Over the one that is there now, which has drifted: it is another database than the one that was backed up.
    await on(
      other,
      "postgres",
      "ALTER DATABASE ledger OWNER TO ops",
      "ALTER DATABASE ledger RESET ALL",
    );
    assert.deepEqual(notRestored(await agent(there(env), "restore", "--json")), []);
    assert.deepEqual(await properties(other, "ledger"), expected);
    const inside =
      "SELECT current_setting('search_path') AS path, current_setting('app.tenant') AS tenant";
    assert.deepEqual(await on(other, "ledger", inside), await world.query("ledger", inside));

    // An older manifest, without these fields: the archive has them too.
    const { properties: _, extensions: _e, roles: _r, dump: _d, ...old } = manifest;
    await world.write(
      env["S3_BUCKET"] ?? "",
      keyBeside(manifest, "manifest.json"),
      JSON.stringify(old),
    );
    const beside = await agent(there(env), "restore", "--into", "looked at", "--json");
    assert.deepEqual(notRestored(beside), []);
    assert.deepEqual(await properties(other, "looked at"), expected);
  });

  it("lets the next backup there count, which a record that somebody has put into the bucket does not", async () => {
    const SIGNING_KEYS = Buffer.alloc(32, 0x29).toString("base64url");
    const env: Record<string, string> = { ...(await ledger("moved")), SIGNING_KEYS };
    await world.backup(env);
    const [control] = await on(
      other,
      "postgres",
      "SELECT system_identifier::text AS server FROM pg_control_system()",
    );
    const startedAt = new Date().toISOString();
    const about = { action: "restore", database: "moved", startedAt } as const;
    const record = { version: 1, ...about, result: "done", from: "x", previous: null };
    await world.write(
      env["S3_BUCKET"] ?? "",
      recordKey(env["S3_PREFIX"] ?? "", about),
      JSON.stringify({ ...record, server: control?.["server"], error: null, elapsedMs: 1 }),
    );
    await on(other, "postgres", "CREATE DATABASE moved");
    const refused = await agent(there(env), "backup", "--json");
    assert.match(failure(refused), /it comes from another server/);
    await on(other, "postgres", "DROP DATABASE moved");
    assert.deepEqual(notRestored(await agent(there(env), "restore", "--globals", "--json")), []);
    const counts = await agent(there(env), "backup", "--json");
    assert.equal(counts.code, 0, failure(counts));
  });

  it("of an encrypted backup has the settings and the comment, too", async () => {
    const env = { ...(await ledger("sealed")), PASSPHRASE: "a passphrase of the test" };
    await world.query("postgres", labelOf("sealed"));
    await world.backup(env);
    assert.deepEqual(notRestored(await agent(there(env), "restore", "--globals", "--json")), [
      LABEL_LOST,
    ]);
    assert.deepEqual(await properties(other, "sealed"), await properties(world.postgres, "sealed"));
  });

  /** docs/recovery.md, "Only the bucket is left", as somebody types it. */
  const byStockTools = (env: Record<string, string>, manifest: Manifest, folder: string) => {
    const block = stockBlock({
      ...{ endpoint: world.store.endpoint, accessKeyId: world.store.accessKeyId },
      ...{ bucket: env["S3_BUCKET"] ?? "", prefix: env["S3_PREFIX"] ?? "" },
      ...{ database: manifest.database, stamp: manifest.takenAt.replace("Z", "") },
      ...{ host: other.host, port: String(other.port), user: other.user },
    });
    return spawnSync("bash", ["-c", block], {
      cwd: folder,
      encoding: "utf8",
      input: `${world.store.secretAccessKey}\n${other.password}\n`,
      env: { PATH: process.env["PATH"], HOME: folder, LC_ALL: "C" },
    });
  };
  const missingTools = ["aws", "age", "jq", "zstd"].filter(
    (tool) => spawnSync(tool, ["--version"]).error !== undefined,
  );

  for (const kind of ["clear", "encrypted"] as const) {
    it(`on another server comes back by docs/recovery.md with stock tools alone: ${kind}`, async (t) => {
      if (missingTools.length > 0) return t.skip(`not installed: ${missingTools.join(", ")}`);
      const identity = Buffer.alloc(32, 0x17);
      const name = `by_hand_${kind}`;
      const env = {
        ...(await ledger(name)),
        ...(kind === "encrypted" && { AGE_RECIPIENTS: formatRecipient(publicKeyOf(identity)) }),
      };
      const odd = `"it's ""odd"""`;
      await world.query(name, `CREATE TABLE ${odd} (i int)`, `INSERT INTO ${odd} VALUES (1)`);
      const manifest = await world.backup(env);
      // What Kamal's accessory has made: an empty database of this name.
      await on(other, "postgres", `CREATE DATABASE ${name}`);
      const folder = mkdtempSync(join(tmpdir(), "by-hand-"));
      t.after(() => rmSync(folder, { recursive: true }));
      const key = encodeBech32("age-secret-key-", identity).toUpperCase();
      writeFileSync(join(folder, "identity.txt"), `${key}\n`, { mode: 0o600 });
      const { stdout, stderr } = byStockTools(env, manifest, folder);
      const harmless =
        /ERROR: {2}(?:role|database) "\w+" already exists$|^NOTICE: {2}role .* is already a member/;
      const unexpected = stderr.split("\n").filter((line) => line !== "" && !harmless.test(line));
      assert.deepEqual(unexpected, [], stdout);
      assert.match(stdout, /\.globals\.sql\.zst(?:\.age)?: OK$/m);
      assert.match(stdout, /\.(?:pgdump|dump\.zst)(?:\.age)?: OK$/m);
      assert.match(stdout, /^compared 2 tables$/m);
      assert.doesNotMatch(stdout, /rows instead of/);
      assert.match(stdout, /^alice$/m, "a role that may log in and has no password");
      const inOrder = (row: Record<string, unknown> = {}) => ({
        ...row,
        datacl: String(row["datacl"]).replace(/[{}]/g, "").split(",").toSorted(),
      });
      assert.deepEqual(
        inOrder(await properties(other, name)),
        inOrder(await properties(world.postgres, name)),
      );
      assert.equal((await on(other, name, `SELECT FROM ${odd}`)).length, 1);
      assert.equal(
        (await on(other, `${name}_before`, "SELECT FROM pg_class WHERE relname = 'entries'"))
          .length,
        0,
      );
      const left = readdirSync(folder).filter((file) => !file.startsWith(`${name}_`));
      assert.deepEqual(left, ["identity.txt"], "nothing in clear is left");
    });
  }

  it("the next backup on another server counts once a restore has filled it, with the earlier server's tables", async () => {
    const env = await ledger("migrated");
    await world.backup(env);
    await on(other, "postgres", "CREATE DATABASE migrated");
    const empty = await agent(there(env), "backup", "--json");
    assert.equal(empty.code, 1);
    assert.match(failure(empty), /it comes from another server: system identifier/);

    const restored = await agent(there(env), "restore", "--globals", "--json");
    assert.deepEqual(notRestored(restored), []);
    const done = restored.events.find((e) => e.event === "restored");
    const [{ id } = { id: "" }] = await on(
      other,
      "postgres",
      "SELECT system_identifier::text AS id FROM pg_control_system()",
    );
    assert.equal(done?.event === "restored" && done.server, id);

    // Its tables are compared as ever.
    await on(other, "migrated", "ALTER TABLE entries RENAME TO elsewhere");
    const lost = await agent(there(env), "backup", "--json");
    assert.match(failure(lost), /table public\.entries is gone/);
    await on(other, "migrated", "ALTER TABLE elsewhere RENAME TO entries");
    const counted = await agent(there(env), "backup", "--json");
    assert.equal(counted.code, 0, failure(counted));

    // A restore beside it says nothing about this server, nor does one before the latest backup.
    const back = await agent(env, "backup", "--json");
    assert.match(failure(back), /it comes from another server: system identifier/);
    const beside = await agent(env, "restore", "--into", "migrated_beside", "--json");
    assert.equal(beside.code, 0, failure(beside));
    const still = await agent(env, "backup", "--json");
    assert.match(failure(still), /it comes from another server: system identifier/);
    assert.equal((await agent(env, "restore", "--json")).code, 0);
    assert.equal((await agent(env, "backup", "--json")).code, 0, "moved back");
    const stale = await agent(there(env), "backup", "--json");
    assert.match(failure(stale), /it comes from another server: system identifier/);
  });

  it("into the empty database that an image has made has the backup's, on the same server the live one's", async () => {
    const env = await ledger("shop");
    await world.backup(env);
    const expected = await properties(world.postgres, "shop");
    await on(other, "postgres", "CREATE DATABASE shop");
    await agent(there(env), "restore", "--globals", "--json");
    assert.deepEqual(await properties(other, "shop"), expected);

    await world.query(
      "postgres",
      "ALTER DATABASE shop SET timezone = 'Europe/Rome'",
      "COMMENT ON DATABASE shop IS 'changed since'",
      "ALTER DATABASE shop CONNECTION LIMIT 7",
    );
    const changed = await properties(world.postgres, "shop");
    assert.deepEqual(notRestored(await agent(env, "restore", "--json")), []);
    assert.deepEqual(await properties(world.postgres, "shop"), changed);
  });

  it("names before the question and at the end what the server cannot give", async () => {
    await world.query("postgres", "CREATE ROLE here_only LOGIN", "CREATE ROLE guest");
    await world.query(
      "postgres",
      "CREATE DATABASE poor OWNER here_only",
      "GRANT CONNECT ON DATABASE poor TO guest",
      "ALTER ROLE guest IN DATABASE poor SET work_mem = '8MB'",
      "ALTER DATABASE poor SET lock_timeout = '3s'",
      labelOf("poor"),
    );
    await world.query("poor", "CREATE TABLE t AS SELECT 1 AS i", "ALTER TABLE t OWNER TO app");
    const env = await world.environment("poor");
    await world.backup(env);
    await on(
      other,
      "postgres",
      "DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN duplicate_object THEN END $$",
    );
    const lost = [
      'the owner of the database: this server has no role "here_only", so it belongs to "ops"',
      'CONNECT on the database for "guest": this server has no role "guest"',
      'the database\'s setting work_mem for "guest": this server has no role "guest"',
      LABEL_LOST,
    ];
    const dry = await agent(there(env), "restore", "--dry-run", "--json");
    assert.deepEqual(notRestored(dry), lost);
    const outcome = await agent(there(env), "restore");
    assert.equal(outcome.code, 0, outcome.stderr);
    for (const item of lost) {
      assert.equal(outcome.stderr.split(item).length, 2, `said before: ${outcome.stderr}`);
      assert.ok(outcome.stdout.indexOf(item) > outcome.stdout.indexOf("Restored"), outcome.stdout);
    }
    assert.deepEqual((await properties(other, "poor"))?.["settings"], ["- {lock_timeout=3s}"]);
  });

  it("keeps encoding and locale, whatever the server's own are", async () => {
    await world.query(
      "postgres",
      "CREATE DATABASE de TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LC_COLLATE 'C' LC_CTYPE 'C'",
      "CREATE DATABASE old_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    await world.query("de", "CREATE TABLE words AS SELECT 'Größe' AS w");
    await world.query(
      "old_ascii",
      "CREATE TABLE notes (t text)",
      "INSERT INTO notes VALUES (E'caf\\xe9 x')",
    );
    const de = await world.environment("de");
    await world.backup(de);
    const made = await agent(there(de), "restore", "--no-owner", "--json");
    assert.equal(made.code, 0, failure(made));
    assert.deepEqual(await properties(other, "de"), {
      ...(await properties(world.postgres, "de")),
      owner: "ops",
      datacl: null,
    });
    assert.deepEqual(await on(other, "de", "SELECT length(w) AS l, upper(w) AS u FROM words"), [
      { l: 5, u: "GRÖSSE" },
    ]);
    const ascii = await world.environment("old_ascii");
    await world.backup(ascii);
    // Also over a database of the same name in another encoding.
    await world.query(
      "postgres",
      "ALTER DATABASE old_ascii RENAME TO old_ascii_kept",
      "CREATE DATABASE old_ascii",
    );
    await world.query("old_ascii", "CREATE TABLE notes (t text)");
    const outcome = await agent(ascii, "restore", "--json");
    assert.deepEqual(notRestored(outcome), []);
    assert.match(
      outcome.stderr,
      /"old_ascii" has UTF8 .* now; .*that of the backup: SQL_ASCII with the locale C/,
    );
    const [row] = await world.query(
      "old_ascii",
      "SELECT octet_length(t) AS n, encode(t::bytea, 'hex') AS h FROM notes",
    );
    assert.deepEqual(row, { n: 6, h: "636166e92078" });
  });

  it("is refused before anything is made where the server lacks the locale, unless that is accepted", async () => {
    await world.database("foreign_locale", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("foreign_locale");
    const manifest = await world.backup(env);
    const replace = async (changes: Partial<NonNullable<Manifest["properties"]>>) => {
      const changed = { ...manifest, properties: { ...manifest.properties, ...changes } };
      const key = keyBeside(manifest, "manifest.json");
      await world.write(env["S3_BUCKET"] ?? "", key, JSON.stringify(changed));
    };
    const cases = [
      [{ collate: "tlh_QO.UTF-8", ctype: "tlh_QO.UTF-8" }, /UTF8 with the locale tlh_QO\.UTF-8/],
      [{ ctype: "tlh_QO.UTF-8" }, /UTF8 with the locale C\.UTF-8 \(sorting\) and tlh_QO/],
      [{ localeProvider: "builtin", locale: "C.UTF-8" }, /UTF8 with the builtin locale C\.UTF-8/],
      [{ encoding: "LATIN1", collate: "tlh", ctype: "tlh" }, /LATIN1 with the locale tlh/],
    ] as const;
    for (const [index, [changes, wanted]] of cases.entries()) {
      await replace(changes);
      const [target, own] =
        index % 2 === 0
          ? [env, "UTF8 with the locale C\\.UTF-8"]
          : [there(env), "SQL_ASCII with the locale C"];
      const outcome = await agent(target, "restore", "--no-owner", "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), wanted);
      assert.match(
        failure(outcome),
        new RegExp(`its own databases have ${own}\\..*--server-locale.*Nothing was changed`),
      );
    }
    assert.deepEqual(
      (await world.databases()).filter((name) => name.startsWith("foreign_locale_")),
      [],
    );
    const accepted = await agent(env, "restore", "--server-locale", "--json");
    assert.match(
      notRestored(accepted).join(),
      /it had LATIN1 with the locale tlh and has UTF8 with the locale C\.UTF-8/,
    );
  });
});
