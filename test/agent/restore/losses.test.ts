import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { parseEvent } from "../../../common/contracts/agentEvents.ts";
import {
  agent,
  attachedAgent,
  failure,
  type Outcome,
  outcomeOf,
  unavailable,
  World,
} from "../world.ts";

/** What a run says that it does not restore. */
const notRestored = (outcome: Outcome): readonly string[] => {
  const found = outcome.events.find((e) => e.event === "restored" || e.event === "planned");
  assert.equal(outcome.code, 0, failure(outcome) + outcome.stderr);
  assert(found?.event === "restored" || found?.event === "planned");
  return found.notRestored;
};

/** Runs the agent and gives it an answer to each of its questions. */
async function askedAgent(
  env: Record<string, string>,
  answers: readonly string[],
  command: string,
  ...args: string[]
): Promise<{ outcome: Outcome; asked: (readonly string[])[] }> {
  const child = attachedAgent(env, command, ...args);
  child.stdin.write("\n");
  const asked: (readonly string[])[] = [];
  assert.ok(child.stdout);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = parseEvent(line);
    if (event?.event !== "question") return;
    asked.push(event.notRestored);
    child.stdin.write(`\n${answers[asked.length - 1]}\n`);
  });
  return { outcome: await outcomeOf(child), asked };
}

describe("what a restore does not bring back", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start(undefined, { settings: ["wal_level=logical"] });
  });
  after(() => world?.stop());

  it("a partial backup takes no live database's place without a word, and is called partial", async () => {
    await world.database(
      "shop",
      "CREATE TABLE orders AS SELECT generate_series(1, 5) AS id",
      "CREATE TABLE audits AS SELECT generate_series(1, 50) AS id",
      "CREATE TABLE sessions AS SELECT generate_series(1, 9) AS id",
      "CREATE VIEW open_orders AS SELECT * FROM orders",
    );
    const plain = await world.environment("shop");
    for (const [options, has, lacks] of [
      [
        "--exclude-table=audits --exclude-table-data=sessions",
        "public.audits, rows in public.sessions",
        ["the table public.audits", "the rows of public.sessions"],
      ],
      [
        "--table=orders",
        "public.audits, public.sessions, perhaps objects of the kind VIEW",
        ["the tables public.audits, public.sessions", "1 view"],
      ],
    ] as const) {
      const env = { ...plain, PGDUMP_EXTRA_OPTS: options };
      await world.backup(env);
      const refused = await agent(env, "restore", "--yes", "--json");
      assert.equal(refused.code, 1);
      assert.ok(
        failure(refused).includes(`would take the place of "shop", which has ${has}.`),
        failure(refused),
      );
      assert.match(failure(refused), /partial, without .*--into NAME .*--allow-incomplete/);
      const expected = lacks.map(
        (part) => `${part}, which the options of pg_dump left out of the backup`,
      );
      const beside = await agent(env, "restore", "--into", "part", "--dry-run", "--json");
      assert.deepEqual(notRestored(beside), expected);
      if (options === "--table=orders") continue;
      const replaced = await agent(env, "restore", "--allow-incomplete");
      assert.equal(replaced.code, 0, replaced.stderr);
      assert.match(
        replaced.stdout,
        /equal to what the backup holds of the snapshot, which is partial/,
      );
      assert.doesNotMatch(replaced.stdout, /equal to the snapshot/);
      for (const item of expected) {
        assert.ok(replaced.stderr.includes(item), "said before the question");
        assert.ok(replaced.stdout.indexOf(item) > replaced.stdout.indexOf("Restored"));
      }
      const undo = /agent (undo \S+)/.exec(replaced.stdout)?.[1]?.split(" ") ?? [];
      assert.equal((await agent(plain, ...undo)).code, 0);
    }
    // Nothing to lose: the database is empty, or gone.
    await world.query("shop", "DROP TABLE audits", "TRUNCATE sessions");
    const env = { ...plain, PGDUMP_EXTRA_OPTS: "--exclude-table-data=sessions" };
    await world.query("shop", "INSERT INTO sessions VALUES (1)");
    await world.backup(env);
    await world.query("shop", "TRUNCATE sessions");
    assert.equal((await agent(env, "restore", "--json")).code, 0);
  });

  it("slots of the replaced database and subscriptions are said, and --into uses no slot twice", async () => {
    await world.database(
      "feeder",
      "CREATE TABLE t (i int)",
      "CREATE PUBLICATION cdc FOR ALL TABLES",
      `CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 dbname=x' PUBLICATION p
         WITH (connect = false, slot_name = 'slot_of_s')`,
    );
    await world.query("feeder", "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
    const env = await world.environment("feeder");
    await world.backup(env);
    const slot =
      /the replication slot "feed": it stays .*Drop it in "feeder_before_\d+T\d+" .*make it again in "feeder" \(SELECT pg_create_logical_replication_slot\('feed', 'pgoutput'\)\)/;
    const subscription =
      /the subscription "s" is enabled: it comes up disabled.*slot "slot_of_s" .*ALTER SUBSCRIPTION "s" ENABLE/;
    const dry = notRestored(await agent(env, "restore", "--dry-run", "--json"));
    const done = notRestored(await agent(env, "restore", "--json"));
    for (const list of [dry, done]) {
      assert.equal(list.length, 2, list.join("\n"));
      assert.match(list[0] ?? "", slot);
      assert.match(list[1] ?? "", subscription);
    }
    const slots =
      "SELECT subslotname AS slot FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid AND datname = current_database()";
    assert.deepEqual(await world.query("feeder", slots), [{ slot: "slot_of_s" }]);
    const beside = notRestored(await agent(env, "restore", "--into", "copy", "--json"));
    assert.match(
      beside.join("\n"),
      /^that the subscription "s" .*without the slot "slot_of_s" on its publisher, which the original uses$/,
    );
    assert.deepEqual(await world.query("copy", slots), [{ slot: null }]);
  });

  it("grants that the server did not give are named before the swap", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE owner1 LOGIN CREATEDB PASSWORD 'password-of-owner1'",
      "CREATE ROLE web",
      "CREATE DATABASE texts OWNER owner1",
    );
    await world.query(
      "texts",
      "SET ROLE owner1",
      "CREATE EXTENSION pg_trgm",
      "CREATE TABLE docs AS SELECT 'a' AS t",
      "CREATE TABLE kind (k varchar(9) CHECK (k IN ('a', 'b')))",
      "CREATE INDEX ON kind (k) WHERE k IN ('a', 'b')",
      "GRANT SELECT ON docs TO web",
      "RESET ROLE",
      "REVOKE EXECUTE ON FUNCTION similarity(text, text) FROM PUBLIC",
      "GRANT EXECUTE ON FUNCTION similarity(text, text) TO web",
    );
    const env = {
      ...(await world.environment("texts")),
      POSTGRES_USER: "owner1",
      POSTGRES_PASSWORD: "password-of-owner1",
    };
    await world.backup(env);
    const lost = [
      "ACL public.FUNCTION similarity(text, text): it is missing in the restored database",
    ];
    const outcome = await agent(env, "restore");
    assert.ok(outcome.stderr.includes(`Not restored: ${lost[0]}`), outcome.stderr);
    assert.match(outcome.stdout, /definitions with their owners and grants: 1 differ\./);
    // With an operator who can be asked: known only once it is loaded, so there is a second question.
    for (const [answers, code] of [
      [["yes", "yes"], 0],
      [["yes", "no"], 1],
      [["no"], 1],
    ] as const) {
      const before = await world.databases();
      const { outcome, asked } = await askedAgent(env, answers, "restore", "--ask", "--json");
      assert.equal(outcome.code, code, failure(outcome) + outcome.stderr);
      assert.deepEqual(asked, [[], lost].slice(0, answers.length));
      if (code === 0) continue;
      assert.match(
        failure(outcome),
        answers.length === 1
          ? /^not confirmed, so nothing was changed\.$/
          : /^not confirmed: "texts" was not touched, and the new database was dropped\.$/,
      );
      assert.deepEqual(await world.databases(), before);
    }
    const whole = { ...env, POSTGRES_USER: "postgres", POSTGRES_PASSWORD: world.postgres.password };
    assert.deepEqual(notRestored(await agent(whole, "restore", "--into", "texts2", "--json")), []);
  });
});
