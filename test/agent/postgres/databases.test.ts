import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { agent, failure, unavailable, World } from "../world.ts";

const RAILS = ["app_production", "_cache", "_queue", "_cable"].map((name) =>
  name.startsWith("_") ? `app_production${name}` : name,
);

const HOSTILE = [
  "$(touch made) `touch made` ; touch made & \n touch made",
  "a=b dbname=postgres host=nowhere user=x",
  "postgresql://x:y@nowhere/postgres",
  "../../%2e%2e/%20<%= 1 %>{{.Env}}",
  '"quo\'ted"\\',
  "\t\u0007\u{1F418}*%s?",
  "-d",
  "--help",
];

describe("several databases in one container", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  before(async () => {
    world = await World.start();
    for (const name of RAILS) {
      await world.database(name, `CREATE TABLE "${name}_table" AS SELECT 1 AS i`);
    }
    env = await world.environment(RAILS.join(","));
  });
  after(() => world?.stop());

  const dumped = async (bucket: string) =>
    (await world.keys(bucket)).flatMap(
      (key) => /^.*\/(.*)_[^_]+\.(?:pgdump|dump\.zst)$/.exec(key)?.[1] ?? [],
    );

  it("each gets its own object and manifest, and comes back by its name", async () => {
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const manifests = outcome.events.flatMap((e) => (e.event === "backup" ? [e.manifest] : []));
    assert.deepEqual(
      manifests.map(({ database, tables }) => [database, tables.map(({ name }) => name)]),
      RAILS.map((name) => [name, [`${name}_table`]]),
    );
    assert.equal((await world.keys(env["S3_BUCKET"] ?? "")).length, 3 * RAILS.length);

    await world.query("app_production_queue", "DROP TABLE app_production_queue_table");
    const restored = await agent(env, "restore", "--database", "app_production_queue", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const [row] = await world.query(
      "app_production_queue",
      "SELECT count(*)::int AS n FROM app_production_queue_table",
    );
    assert.deepEqual(row, { n: 1 });
  });

  it("a command about one of them asks which, and lists that one only", async () => {
    for (const command of ["list", "restore"]) {
      const unclear = await agent(env, command, "--json");
      assert.equal(unclear.code, 1);
      assert.match(
        failure(unclear),
        /several databases: "app_production", "app_production_cache", .*Choose one: --database NAME/,
      );
      const wrong = await agent(env, command, "--database", "app", "--json");
      assert.match(failure(wrong), /--database app: this container backs up "app_production"/);
    }
    const listed = await agent(env, "list", "--database", "app_production", "--json");
    const event = listed.events.find((e) => e.event === "list");
    assert(event?.event === "list");
    const [first] = event.backups;
    assert.equal(event.backups.length, 1);
    assert.equal(first?.manifest?.database, "app_production");
  });

  it("a name with a comma, which separates names, is refused in a sentence", async () => {
    await world.database("books,old");
    const own = await world.environment("books,old");
    const outcome = await agent(own, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(failure(outcome), /database "books" does not exist.*A comma separates names/);
    await world.query("postgres", 'DROP DATABASE "books,old"');
  });

  it("one that fails does not stop the others, and is named", async () => {
    const own: Record<string, string> = {
      ...env,
      ...(await world.environment("app_production,missing,app_production_cable")),
    };
    const outcome = await agent(own, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(
      failure(outcome),
      /^1 of 3 databases failed\. "missing": database "missing" does not exist/,
    );
    assert.deepEqual(await dumped(own["S3_BUCKET"] ?? ""), [
      "app_production",
      "app_production_cable",
    ]);
  });

  it("names that a shell, a server's address, a path or an option would take for their own: backed up, listed, swapped back", async () => {
    const { POSTGRES_DATABASE: _, ...rest } = await world.environment("");
    const own: Record<string, string> = {
      ...rest,
      POSTGRES_BACKUP_ALL: "true",
      POSTGRES_EXCLUDE_DATABASES: RAILS.join(","),
    };
    const bucket = own["S3_BUCKET"] ?? "";
    for (const name of HOSTILE) await world.database(name, "CREATE TABLE t AS SELECT 1 AS i");
    try {
      const outcome = await agent(own, "backup", "--json");
      assert.equal(outcome.code, 0, failure(outcome));
      const stored = outcome.events.flatMap((e) =>
        e.event === "backup" ? [e.manifest.database] : [],
      );
      for (const name of HOSTILE) assert.ok(stored.includes(name), name);
      assert.equal((await world.keys(bucket)).length, 3 * stored.length);
      const known = (await agent(own, "databases", "--stored", "--json")).events[0];
      assert(known?.event === "databases");
      assert.deepEqual(known.stored, stored.toSorted());
      for (const database of ["-d", HOSTILE[0] ?? ""]) {
        const one = ["--database", database];
        const restored = await agent(own, "restore", ...one, "--yes");
        assert.equal(restored.code, 0, restored.stderr);
        const [, pasted = ""] = /agent (undo .*)$/m.exec(restored.stdout) ?? [];
        const typed = execFileSync("sh", ["-c", `printf '%s\\0' ${pasted}`], { encoding: "utf8" });
        const [command = "", ...words] = typed.split("\0").slice(0, -1);
        const undone = await agent(own, command, "--yes", ...words);
        assert.equal(undone.code, 0, `${pasted}: ${undone.stderr}`);
      }
      assert.equal(existsSync("made"), false);
    } finally {
      for (const name of await world.databases()) {
        if (!/^(postgres|template\d|app_production.*)$/.test(name)) await world.drop(name);
      }
    }
  });

  it("all of them: not the templates, postgres, the excluded and what restores left", async () => {
    await world.database("app_production_before_20260101T000000");
    const { POSTGRES_DATABASE: _, ...rest } = await world.environment("");
    const own: Record<string, string> = {
      ...rest,
      POSTGRES_BACKUP_ALL: "true",
      POSTGRES_EXCLUDE_DATABASES: "app_production_cache",
    };
    for (const name of ["broken", "closed", "mould"]) await world.database(name);
    await world.query(
      "postgres",
      "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'",
      "ALTER DATABASE closed ALLOW_CONNECTIONS false",
      "ALTER DATABASE mould IS_TEMPLATE true",
      "CREATE TABLE an_application_in_postgres (i int)",
    );
    const outcome = await agent(own, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const notices = outcome.stderr.split("\n").filter((line) => line.includes("not backed up"));
    assert.equal(notices.length, 1, outcome.stderr);
    assert.match(
      notices[0] ?? "",
      /"broken" \(invalid, .*\), "closed" \(takes no connections\), "mould" \(a template\), "postgres" \(.*holds tables/,
    );
    assert.doesNotMatch(notices[0] ?? "", /template[01]|_before_|_cache/);
    assert.deepEqual(
      await dumped(own["S3_BUCKET"] ?? ""),
      RAILS.filter((name) => name !== "app_production_cache").toSorted(),
    );
    await world.query("postgres", "DROP DATABASE app_production_queue");
    const left = RAILS.filter((name) => !/_(cache|queue)$/.test(name)).toSorted();
    const now = (await agent(own, "databases", "--json")).events[0];
    assert.deepEqual(now, { event: "databases", databases: left, stored: null });
    const { stdout } = await agent(own, "databases", "--stored");
    assert.deepEqual(stdout.trim().split("\n"), [
      ...left,
      "app_production_queue  (in the bucket alone)",
    ]);
    const unclear = await agent(own, "list", "--json");
    assert.match(failure(unclear), /every database of the server\. Choose one: --database NAME/);
    const one = await agent(own, "backup", "--database", "postgres", "--json");
    assert.match(failure(one), /--database postgres: this container backs up/);
  });
});
