import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { RestoreOutput, type TableProgress } from "../../../agent/restore/pgRestoreOutput.ts";
import { agent, failure, unavailable, World } from "../world.ts";

/** What the talk tells, whether it comes at once or byte by byte. */
function told(text: string): { steps: string[]; failure: string } {
  const read = (pieces: Iterable<string>) => {
    const steps: string[] = [];
    const output = new RestoreOutput(({ done, table }: TableProgress) =>
      steps.push(`${done} ${table}`),
    );
    for (const piece of pieces) output.read(piece);
    return { steps, failure: output.failure() };
  };
  const whole = read([text]);
  assert.deepEqual(read(text), whole);
  return whole;
}

const own = (...lines: string[]) => lines.map((line) => `pg_restore: ${line}\n`).join("");

describe("what pg_restore says", () => {
  it("one connection: a table is done when the next thing begins", () => {
    const { steps, failure } = told(
      own(
        "connecting to database for restore",
        'creating TABLE "public.a"',
        'processing data for table "public.a"',
        'processing data for table "we ird.t" x\n y"',
        "executing SEQUENCE SET a_id_seq",
        'creating CONSTRAINT "public.a a_pkey"',
      ),
    );
    assert.deepEqual(steps, ["0 public.a", '1 we ird.t" x', '2 we ird.t" x']);
    assert.equal(failure, "");
  });

  it("several connections: a table is done when its item is finished", () => {
    const { steps } = told(
      own(
        "processing item 216 TABLE a",
        'creating TABLE "public.a"',
        "entering main parallel loop",
        "launching item 1 TABLE DATA a",
        "launching item 2 TABLE DATA b",
        'processing data for table "public.a"',
        'processing data for table "public.b"',
        "finished item 2 TABLE DATA b",
        "launching item 3 CONSTRAINT b b_pkey",
        'creating CONSTRAINT "public.b b_pkey"',
        "finished item 3 CONSTRAINT b b_pkey",
        "finished item 1 TABLE DATA a",
        "finished main parallel loop",
      ),
    );
    assert.deepEqual(steps, ["0 public.a", "0 public.b", "1 public.b", "2 public.b"]);
  });

  it("the first error with what belongs to it, without the statement and what it did to others", () => {
    const { failure } = told(
      [
        own("warning: what came before"),
        own('creating INDEX "public.error: x"', "while PROCESSING TOC:"),
        own("from TOC entry 3217; 1259 16413 INDEX z_i_idx postgres"),
        own("error: could not execute query: ERROR:  no index"),
        "DETAIL:  the detail\nHINT:  the hint\nCommand was: CREATE INDEX\n ON z\n\n",
        own("finished item 3 TABLE DATA x", "error: a worker process died unexpectedly"),
      ].join(""),
    );
    assert.deepEqual(failure.split("\n"), [
      "pg_restore: error: could not execute query: ERROR:  no index",
      "DETAIL:  the detail",
      "HINT:  the hint",
    ]);
  });

  it("what a shell says that cannot start it, and a line without an end", () => {
    assert.equal(told("sh: 1: pg_restore: not found").failure, "sh: 1: pg_restore: not found");
    assert.equal(told("").failure, "");
  });
});

describe("a restore reports its progress", { skip: unavailable, timeout: 300_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  const scratch = mkdtempSync(join(tmpdir(), "restore-progress-"));
  const tables = ["public.a", "public.b", "sales.Odd name", "sales.c"];
  before(async () => {
    world = await World.start();
    await world.database(
      "steps",
      "CREATE SCHEMA sales",
      "CREATE TABLE a AS SELECT generate_series(1, 50) AS i",
      "CREATE TABLE b (i int PRIMARY KEY)",
      'CREATE TABLE sales."Odd name" (i int)',
      "CREATE TABLE sales.c (i int)",
    );
    env = await world.environment("steps");
    await world.backup(env);
  });
  after(async () => {
    rmSync(scratch, { recursive: true });
    await world?.stop();
  });

  const ways: readonly [string, readonly string[]][] = [
    ["streamed", []],
    ["with every core", ["--scratch", scratch]],
  ];
  for (const [way, options] of ways) {
    it(`${way}: by table, from the first to the last`, async () => {
      const outcome = await agent(env, "restore", ...options, "--json");
      assert.equal(outcome.code, 0, failure(outcome));
      const steps = outcome.events.flatMap((event) =>
        event.event === "progress" && event.step === "restore" ? [event] : [],
      );
      const [first] = steps;
      assert(tables.includes(first?.table ?? ""), JSON.stringify(first));
      assert((first?.done ?? 4) < 4);
      for (const { total } of steps) assert.equal(total, 4);
      assert.equal(steps.at(-1)?.done, 4);
      assert.equal(outcome.stderr, "", "the talk stays inside");
    });

    it(`${way}: fails with the server's reason`, async () => {
      const name = options.length === 0 ? "astray" : "astray_parallel";
      // Its check looks for a table by a name that does not hold while pg_restore works.
      await world.database(
        name,
        "CREATE TABLE limits AS SELECT 10 AS highest",
        "CREATE FUNCTION allowed(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 <= (SELECT highest FROM limits); END'",
        "CREATE TABLE orders (i int CHECK (allowed(i)))",
        "INSERT INTO orders VALUES (1)",
      );
      const own = await world.environment(name);
      await world.backup(own);
      const outcome = await agent(own, "restore", ...options, "--json");
      assert.equal(outcome.code, 1);
      assert.match(
        failure(outcome),
        /pg_restore failed with exit code 1: pg_restore: error: COPY failed for table "orders": ERROR: {2}relation "limits" does not exist; LINE 1: .*" was not touched\.$/,
      );
      assert.doesNotMatch(failure(outcome), /creating|processing/);
    });
  }
});
