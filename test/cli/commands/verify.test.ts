import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const verified = {
  event: "verified",
  database: "shop_production",
  from: "2026-11-24T03:15:02",
  key: "shop/production/k.dump.zst.age",
  depth: "full",
  bytes: 412_000_000,
  tables: 31,
  unchecked: null,
  signature: null,
  elapsedMs: 4200,
};

test("verify: what was read to its end", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("verify", { out: [verified] });
  const { code, stdout } = await outside.run(["verify"]);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    "Verified shop_production of 2026-11-24 03:15:02 UTC, 412 MB: read to the end, 31 tables, in 4.2 s.\n  Nothing was restored: only a restore shows that it can be, for instance restore --into NAME.\n",
  );
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(-5), [
    "agent",
    "verify",
    "--attached",
    "2026-11-24T03:15:02",
    "--json",
  ]);
});

test("verify: that the chosen one is signed, where it is", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("verify", { out: [{ ...verified, signature: "signed" }] });
  const { stdout } = await outside.run(["verify"]);
  assert.match(stdout, /\n {2}Its manifest is signed with a key of this stack\.\n$/);
  await outside.answer("verify", { out: [{ ...verified, signature: "unsigned" }] });
  assert.doesNotMatch((await outside.run(["verify"])).stdout, /is signed/);
  const json = await outside.run(["verify", "--json"]);
  assert.equal(JSON.parse(json.stdout).signature, "unsigned");
});

test("verify: what could not be read is never said to be verified, and has an exit code of its own", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  const unchecked = "the content, which only a recipient's private key opens.";
  await outside.answer("verify", {
    out: [{ ...verified, depth: "stored", tables: null, unchecked }],
    err: `not checked: ${unchecked}\n`,
    code: 2,
  });
  const { code, stdout, stderr } = await outside.run(["verify", "latest"]);
  assert.equal(code, 2);
  assert.match(
    stdout,
    /^Stored whole, not decrypted: shop_production of .* give its key: --identity FILE\.$/m,
  );
  assert.match(stdout, /not checked: the content/);
  assert.doesNotMatch(stdout, /Verified/);
  assert.equal(stderr, "");
  const json = await outside.run(["verify", "--json"]);
  assert.equal(json.code, 2);
  assert.equal(JSON.parse(json.stdout).depth, "stored");
});

test("verify: a damaged backup fails with the agent's sentence", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf("2026-11-24T03:15:02"));
  await outside.answer("verify", {
    out: [{ event: "error", message: "k is damaged: its SHA-256 is another." }],
    code: 1,
  });
  const { code, stdout, stderr } = await outside.run(["verify"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /error: k is damaged/);
});

const undone = {
  event: "undone",
  database: "shop_production",
  from: "shop_production_before_20261124T102110",
  previous: "shop_production_undone_20261124T110000",
  elapsedMs: 300,
};

test("undo: swaps back by the name that the restore has told", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("undo", { out: [undone] });
  const kept = { name: undone.from, database: undone.database, kind: "before" };
  const rest = { stamp: "2026-11-24T10:21:10", bytes: 1, sessions: 0, undo: `undo ${undone.from}` };
  await outside.answer("kept", { out: [{ event: "kept", databases: [{ ...kept, ...rest }] }] });
  const { code, stdout } = await outside.run(["undo", undone.from, "--yes"]);
  assert.equal(code, 0);
  assert.deepEqual(stdout.split("\n"), [
    "Swap shop_production_before_20261124T102110 back on 192.0.2.10",
    "The current database is kept as shop_production_undone_<time>.",
    "Swapped back: shop_production_before_20261124T102110 is shop_production again, in 0.3 s.",
    "  the previous database is kept as shop_production_undone_20261124T110000",
    "",
  ]);
  const call = (await outside.calls("ssh")).at(-1) ?? [];
  assert.deepEqual(call.slice(-7), [
    "agent",
    "undo",
    "--attached",
    "--yes",
    "--json",
    "--",
    undone.from,
  ]);
});

test("undo: refuses another name, and a question that nobody could answer", async (t) => {
  const outside = await Outside.open(t);
  const other = await outside.run(["undo", "shop_production", "--yes"]);
  assert.equal(other.code, 1);
  assert.match(
    other.stderr,
    /"shop_production" is not the name of a database that a restore has replaced/,
  );
  const unasked = await outside.run(["undo", undone.from]);
  assert.equal(unasked.code, 1);
  assert.match(unasked.stderr, /standard input is no terminal/);
  assert.deepEqual(await outside.calls("ssh"), []);
});
