import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  entryOf,
  hoursAgo,
  inspected,
  manifestOf,
  outputs,
  recorded,
} from "../support/factories.ts";
import { Outside } from "../support/run.ts";

/** A backup of every database of a server that has `shop` and `blog`; the bucket has one of `old` besides. */
async function every(t: TestContext): Promise<Outside> {
  const outside = await Outside.open(t);
  const backup = { ...outputs, database: "", databases: "all" };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  await outside.answer("inspect", { out: inspected() });
  const databases = { event: "databases", databases: ["blog", "shop"], stored: ["old", "shop"] };
  await outside.answer("databases", { out: [databases] });
  await outside.backups(entryOf(hoursAgo(7), { database: "shop" }));
  return outside;
}

test("every database: a command about one says which there are, also in the bucket alone", async (t) => {
  const outside = await every(t);
  for (const command of [["list"], ["restore", "--yes"], ["verify"]]) {
    const { stderr, code } = await outside.run(command);
    assert.match(
      stderr,
      /every database of the server: now blog, shop; in the bucket alone old\. Choose one with --database/,
    );
    assert.equal(code, 1);
  }
  assert.deepEqual((await outside.calls("ssh")).at(-1)?.slice(-3), [
    "databases",
    "--stored",
    "--json",
  ]);
});

test("every database: one is taken by its name, whether the server still has it or not", async (t) => {
  const outside = await every(t);
  const { stdout, code } = await outside.run(["list", "--database", "shop"]);
  assert.match(stdout, /^shop .*newest backup 7 h old, RPO 26 h: ok/);
  assert.equal(code, 0);
  await outside.backups(entryOf(hoursAgo(700), { database: "old" }));
  await outside.answer("restore", { code: 1, out: [{ event: "error", message: "stopped here." }] });
  const old = await outside.run(["restore", "--database", "old", "--yes"]);
  assert.match(old.stdout, /^Restore old on 192\.0\.2\.10 from/);
  const call = (await outside.calls("ssh")).at(-1)?.join(" ");
  assert.match(call ?? "", /--database old --ask --json$/);
});

test("every database: a backup takes them all, and asks nothing before", async (t) => {
  const outside = await every(t);
  const events = ["blog", "shop"].map((database) => ({
    event: "backup",
    manifest: { ...manifestOf("2026-11-24T03:15:02"), database },
  }));
  await outside.answer("backup", { out: events });
  const { stdout } = await outside.run(["backup"]);
  assert.match(stdout, /Backed up blog of .*\n.*\nBacked up shop of/);
  const calls = await outside.calls("ssh");
  assert.equal(calls.length, 1);
  assert.deepEqual(calls[0]?.slice(-4), ["agent", "backup", "--attached", "--json"]);
});

test("every database: status judges each that the server has", async (t) => {
  const outside = await every(t);
  const { stdout } = await outside.run(["status"]);
  assert.match(stdout, /^blog, shop {3}s3:/);
  assert.match(stdout, /verdict of blog +no complete backup, RPO 26 h: missed\n/);
  assert.match(stdout, /verdict of shop +newest backup 7 h old, RPO 26 h: ok\n/);
  const json = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.deepEqual(
    json.databases.map((one: { database: string; withinRpo: boolean }) => [
      one.database,
      one.withinRpo,
    ]),
    [
      ["blog", false],
      ["shop", true],
    ],
  );
  assert.equal(json.withinRpo, false, "one of several is late");
  await outside.answer("inspect", { err: "Error: No such container: x\n", code: 1 });
  const gone = await outside.run(["status"]);
  assert.match(gone.stdout, /^every database {3}s3:/);
  assert.equal(JSON.parse((await outside.run(["status", "--json"])).stdout).database, null);
});

test("every database: drift names the one without a young backup; a server that hides them is a broken check", async (t) => {
  const outside = await every(t);
  await outside.answer("refresh", { out: await recorded("clean") });
  const late = await outside.run(["drift"]);
  assert.equal(late.code, 7, late.stderr);
  assert.match(late.stdout, /newest backup of blog +RPO 26 h +none/);
  assert.doesNotMatch(late.stdout, /newest backup of shop/);

  const message = "POSTGRES_HOST db cannot be reached.";
  await outside.answer("databases", { code: 1, out: [{ event: "error", message }] });
  const broken = await outside.run(["drift"]);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /POSTGRES_HOST db cannot be reached/);
  await outside.answer("refresh", { out: await recorded("drift") });
  const explained = await outside.run(["drift"]);
  assert.equal(explained.code, 7);
  assert.match(
    explained.stdout,
    /note: the age of the newest backup could not be judged: POSTGRES/,
  );
});
