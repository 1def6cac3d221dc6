import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agent, failure, type Outcome, unavailable, World } from "../world.ts";

/** A post whose user is gone, a view whose query stands in a text, a check whose function reads another table. */
const BROKEN = [
  "CREATE TABLE users (id int PRIMARY KEY)",
  "CREATE TABLE posts (id int PRIMARY KEY, uid int REFERENCES users)",
  "INSERT INTO users SELECT generate_series(1, 20)",
  "INSERT INTO posts SELECT n, n FROM generate_series(1, 20) n",
  "SET session_replication_role = replica; DELETE FROM users WHERE id = 7",
  "CREATE TABLE docs (body tsvector)",
  "INSERT INTO docs VALUES ('cat dog')",
  "CREATE MATERIALIZED VIEW word_list AS SELECT word FROM ts_stat('select body from docs')",
  "CREATE TABLE zones (code text PRIMARY KEY)",
  "INSERT INTO zones VALUES ('eu')",
  "CREATE FUNCTION zone_ok(z text) RETURNS boolean LANGUAGE sql STABLE AS 'select exists (select from zones where code = z)'",
  "CREATE TABLE aorders (id int, zone text CHECK (zone_ok(zone)))",
  "INSERT INTO aorders VALUES (1, 'eu')",
  "CREATE TABLE borders (id int, zone text CHECK (zone_ok(zone)))",
  "INSERT INTO borders VALUES (1, 'eu'), (2, 'eu')",
  // A row that was allowed when it came.
  "INSERT INTO zones VALUES ('mars'); INSERT INTO borders VALUES (3, 'mars'); DELETE FROM zones WHERE code = 'mars'",
];

/** The same in places that are harder to reach: a generated column, a domain deep in other types, a partitioned table. */
const DEEPER = [
  "CREATE FUNCTION zone_name(z text) RETURNS text LANGUAGE sql IMMUTABLE AS 'select upper(code) from zones where code = z'",
  "CREATE TABLE alabels (zone text, label text GENERATED ALWAYS AS (zone_name(zone)) STORED)",
  "INSERT INTO alabels VALUES ('eu')",
  "CREATE DOMAIN zone AS text CHECK (zone_ok(value)); CREATE DOMAIN home AS zone; CREATE TYPE place AS (z zone)",
  "CREATE TABLE aplaces (h home, list zone[], p place)",
  "INSERT INTO aplaces VALUES ('eu', '{eu}', '(eu)')",
  // Counting and ANALYZE call it too.
  "CREATE TABLE streets (zone text); INSERT INTO streets VALUES ('eu'); CREATE INDEX streets_label ON streets (zone_name(zone))",
  "CREATE TABLE notes (id int, uid int REFERENCES users) PARTITION BY RANGE (id)",
  "CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (100)",
  "INSERT INTO notes SELECT id, uid FROM posts WHERE uid <> 7; SET session_replication_role = replica; INSERT INTO notes VALUES (7, 7)",
];

const restoredOf = (outcome: Outcome) => {
  const found = outcome.events.find((e) => e.event === "restored");
  assert(found?.event === "restored", failure(outcome) || outcome.stderr);
  return found;
};

describe("a restore that keeps going", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  let deepEnv: Record<string, string>;
  const scratch = mkdtempSync(join(tmpdir(), "keep-going-"));
  before(async () => {
    world = await World.start();
    await world.database("broken", ...BROKEN);
    env = await world.environment("broken");
    await world.backup(env);
    await world.database("deep", ...BROKEN, ...DEEPER);
    deepEnv = await world.environment("deep");
    await world.backup(deepEnv);
  });
  after(async () => {
    rmSync(scratch, { recursive: true });
    await world?.stop();
  });

  const count = async (database: string, table: string) =>
    (await world.query(database, `SELECT count(*)::int AS n FROM ${table}`))[0]?.["n"];
  const databases = async (start: string) =>
    (await world.databases()).filter((name) => name.startsWith(start));

  it("without it the failure names the way out, and nothing has changed", async () => {
    const outcome = await agent(env, "restore", "--json");
    assert.equal(outcome.code, 1);
    assert.match(
      failure(outcome),
      /restore --into broken_saved --keep-going, which lists every statement that fails\. "broken" was not touched\.$/,
    );
    assert.deepEqual(await databases("broken_"), []);
    // An error of several lines reads as sentences.
    assert.match(
      failure(outcome),
      /COPY failed for table "aorders": relation "zones" does not exist\. At line 1 of the rows of aorders\. To get out/,
    );
    assert.doesNotMatch(failure(outcome), /LINE 1|\^|;|\.\./);
  });

  it("what names a table without its schema is refused before loading with the remedy, where it can be known", async () => {
    const outcome = await agent(deepEnv, "restore", "--json");
    assert.match(
      failure(outcome),
      /TABLE public\.alabels: relation "zones" does not exist; INDEX public\.streets_label: .* Nothing was loaded\. .*ALTER FUNCTION .* SET search_path/,
    );
    assert.doesNotMatch(failure(outcome), /PGDUMP_EXTRA_OPTS/);
  });

  it("it takes a new database, or a word for replacing the live one", async () => {
    const outcome = await agent(env, "restore", "--keep-going", "--json");
    assert.equal(outcome.code, 1);
    assert.match(failure(outcome), /--into NAME\. With --allow-incomplete it takes the live/);
    assert.deepEqual(await databases("broken_"), []);
  });

  for (const [name, options] of [
    ["streamed", []],
    ["unpacked", ["--scratch", scratch]],
  ] as const) {
    it(`${name}: everything that can be loaded is there, and each failed statement is listed`, async () => {
      const into = `saved_${name}`;
      const outcome = await agent(
        deepEnv,
        "restore",
        "--into",
        into,
        "--keep-going",
        ...options,
        "--json",
      );
      assert.equal(outcome.code, 2, failure(outcome));
      const restored = restoredOf(outcome);
      assert.deepEqual(restored.differences, []);
      assert.equal(restored.previous, null);
      for (const [table, rows] of [
        ["users", 19],
        ["posts", 20],
        ["docs", 1],
        ["zones", 1],
        ["aorders", 1],
        ["borders", 3],
        ["alabels", 1],
        ["aplaces", 1],
        ["streets", 1],
        ["notes", 20],
      ] as const) {
        assert.equal(await count(into, table), rows, table);
      }
      const outcomes = Object.fromEntries(
        restored.failed.map(({ entry, outcome: became }) => [entry, became]),
      );
      const { major } = world.postgres;
      assert.deepEqual(outcomes, {
        "TABLE public.alabels": "second try",
        "TABLE DATA public.alabels": "second try",
        "TABLE DATA public.aorders": "second try",
        "TABLE DATA public.aplaces": "second try",
        "TABLE DATA public.borders": "second try",
        "CHECK CONSTRAINT borders borders_zone_check": "not valid",
        "INDEX public.streets_label": "second try",
        "FK CONSTRAINT public.posts posts_uid_fkey": "not valid",
        "FK CONSTRAINT public.notes notes_uid_fkey": "not valid",
        "MATERIALIZED VIEW DATA public.word_list": major < 17 ? "second try" : "empty",
      });
      // What is ours, and not the backup's, ends nothing: it is said.
      for (const words of [
        /the rows of public\.streets were loaded and not compared: relation "zones" does not exist\./,
        /public\.streets has no statistics for the planner: .* Run ANALYZE public\.streets there\./,
      ]) {
        assert.match(outcome.stderr, words);
      }
      const analyzed = await world.query(
        into,
        "SELECT count(*)::int AS n FROM pg_stats WHERE schemaname = 'public' AND tablename = 'users'",
      );
      assert.deepEqual(analyzed, [{ n: 1 }], "the others are analyzed");
      const [key] = restored.failed.filter(({ entry }) => entry.endsWith("posts_uid_fkey"));
      assert.match(key?.error ?? "", /violates foreign key.*Key \(uid\)=\(7\) is not present/);
      assert.match(
        key?.statement ?? "",
        /^ALTER TABLE ONLY public\.posts\n +ADD CONSTRAINT posts_uid/,
      );
      const constraints = await world.query(
        into,
        "SELECT conname AS name, convalidated AS valid FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace ORDER BY 1",
      );
      assert.deepEqual(constraints, [
        { name: "aorders_zone_check", valid: true },
        { name: "borders_zone_check", valid: false },
        { name: "notes_uid_fkey", valid: major >= 18 },
        { name: "posts_uid_fkey", valid: false },
        { name: "zone_check", valid: true },
      ]);
      const [label] = await world.query(
        into,
        "SELECT label, (SELECT count(*)::int FROM pg_proc WHERE proconfig IS NOT NULL AND proname ~ '^zone') AS settings FROM alabels",
      );
      assert.deepEqual(label, { label: "EU", settings: 0 });
    });
  }

  it("text for a person: what failed, what became of it, and what to do", async () => {
    const outcome = await agent(env, "restore", "--into", "read_me", "--keep-going");
    assert.equal(outcome.code, 2);
    assert.match(
      outcome.stdout,
      /Restored what could be loaded into "read_me" .*5 statements failed/,
    );
    assert.match(
      outcome.stdout,
      /failed: FK CONSTRAINT public\.posts posts_uid_fkey \(.*\); it is there as NOT VALID/,
    );
  });

  it("--allow-incomplete swaps, and the old database stays", async () => {
    await world.database("swapped", ...BROKEN.slice(0, 5));
    const own = await world.environment("swapped");
    await world.backup(own);
    await world.query("swapped", "DELETE FROM posts");
    const outcome = await agent(own, "restore", "--keep-going", "--allow-incomplete", "--json");
    assert.equal(outcome.code, 2, failure(outcome));
    assert.equal(await count("swapped", "posts"), 20);
    assert.equal(await count(restoredOf(outcome).previous ?? "", "posts"), 0);
  });

  it("roles that are missing and rows that no check explains cost nothing else", async () => {
    await world.query("postgres", "CREATE ROLE leaving");
    await world.database(
      "torn",
      "CREATE TABLE kept AS SELECT generate_series(1, 5) AS i",
      "CREATE TABLE theirs AS SELECT generate_series(1, 3) AS i",
      "ALTER TABLE theirs OWNER TO leaving",
      "CREATE POLICY p ON kept TO leaving USING (true)",
      "CREATE TABLE twice AS SELECT 1 AS i FROM generate_series(1, 2)",
      // As SECURITY LABEL leaves it, for which a provider would have to be loaded.
      "INSERT INTO pg_seclabel VALUES ('kept'::regclass, 'pg_class'::regclass, 0, 'not_here', 'top')",
    );
    const own = await world.environment("torn");
    await world.backup(own);
    await world.query("torn", "DROP TABLE theirs", "DROP POLICY p ON kept");
    await world.query("postgres", "DROP ROLE leaving");
    const refused = await agent(own, "restore", "--json");
    assert.match(failure(refused), /does not have: "leaving"\. Restore with --globals/);
    const outcome = await agent(own, "restore", "--into", "torn_saved", "--keep-going", "--json");
    assert.equal(outcome.code, 2, failure(outcome));
    assert.equal(await count("torn_saved", "theirs"), 3);
    assert.deepEqual(
      restoredOf(outcome)
        .failed.map(({ entry, statement, outcome: became }) => [entry, statement, became])
        .toSorted(),
      [
        [
          "POLICY public.kept p",
          "CREATE POLICY p ON public.kept TO leaving USING (true);",
          "left out",
        ],
        [
          "SECURITY LABEL public.TABLE kept",
          "SECURITY LABEL FOR not_here ON TABLE public.kept IS 'top';",
          "left out",
        ],
        ["TABLE public.theirs", "ALTER TABLE public.theirs OWNER TO leaving;", "left out"],
      ],
    );
  });
});
