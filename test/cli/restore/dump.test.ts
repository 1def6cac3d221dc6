import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const dumped = (from: string | null) =>
  `${JSON.stringify({ event: "dumped", database: "shop_production", from, elapsedMs: 4200 })}\n`;
const SQL = "--\n-- PostgreSQL database dump\n--\n";

test("dump: the database as it is goes to standard output, and everything else to standard error", async (t) => {
  const outside = await Outside.open(t);
  const out = SQL + "é".repeat(200_000);
  const progress = { event: "progress", step: "download", bytes: 1, total: 2, elapsedMs: 5 };
  const err = `${JSON.stringify(progress)}\nthe server's own word\n${dumped(null)}`;
  await outside.answer("dump", { out, err });
  const { code, stdout, stderr } = await outside.run(["dump"]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, out);
  assert.equal(
    stderr,
    "the server's own word\nDumped shop_production as it is now: 400 kB of SQL in 4.2 s.\n",
  );
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(-4), ["agent", "dump", "--attached", "--json"]);
});

test("dump: a backup by its time, without owners", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("dump", { out: SQL, err: dumped("2026-11-24T03:15:02") });
  const words = ["dump", "2026-11-24 03:15:02", "--no-owner"];
  const { code, stdout, stderr } = await outside.run(words);
  assert.deepEqual([code, stdout], [0, SQL]);
  assert.match(stderr, /^Dumped shop_production of 2026-11-24 03:15:02 UTC: 34 bytes of SQL/);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(-4), ["--attached", "2026-11-24T03:15:02", "--no-owner", "--json"]);
});

test("dump: what is not whole fails, says so, and ends in an error for psql", async (t) => {
  const outside = await Outside.open(t);
  const message = "pg_dump was killed. What was written is not the whole database: do not load it.";
  const rows = [
    [
      { err: `${JSON.stringify({ event: "error", message })}\n`, code: 1 },
      /^error: pg_dump was killed\. What was written is not .*\n$/,
    ],
    [{ err: "", code: 0 }, /^error: .*ended without a result.* What was written is not the whole/],
    [{ err: "Error: No such container: x\n", code: 1 }, /^error: there is no container/],
    [{ err: "Connection closed\n", code: 255 }, /^error: .* What was written is not the whole/],
  ] as const;
  for (const [answer, sentence] of rows) {
    const out = answer.err.includes("No such") ? "" : `${SQL}COPY public.t (a) FROM stdin;\n1`;
    await outside.answer("dump", { out, ...answer });
    const { code, stdout, stderr } = await outside.run(["dump"]);
    assert.equal(code, 1);
    assert.match(stderr, sentence);
    const end = "\n\\.\nDO $$ BEGIN RAISE EXCEPTION 'this dump is not whole'; END $$;\n";
    assert.equal(stdout, out === "" ? "" : out + end);
  }
});

test("dump: where it cannot go, and an agent that does not know it", async (t) => {
  const outside = await Outside.open(t);
  const json = await outside.run(["dump", "--json"]);
  assert.match(
    json.stderr,
    /^error: --json: dump writes SQL to standard output, and no document\./,
  );
  const copy = await outside.run(["dump", "--copy"]);
  assert.match(copy.stderr, /^error: --copy needs a backup: dump latest --copy\n/);
  await outside.answer("dump", { err: "error: unknown command 'dump'\n", code: 1 });
  const old = await outside.run(["dump"]);
  assert.equal(old.code, 1);
  assert.match(old.stderr, /is of an earlier version, which cannot do this\. Run pulumi up/);
});
