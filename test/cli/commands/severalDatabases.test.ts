import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { entryOf, hoursAgo, manifestOf, outputs } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const names = ["shop_production", "shop_production_queue"];

async function several(t: TestContext): Promise<Outside> {
  const outside = await Outside.open(t);
  const backup = { ...outputs, databases: names, tierDays: { daily: 7, weekly: 35, monthly: 365 } };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  return outside;
}

test("several databases: list and restore ask which, and tell the agent", async (t) => {
  const outside = await several(t);
  await outside.backups(entryOf(hoursAgo(7), { database: "shop_production_queue" }));
  for (const command of [["list"], ["restore", "--yes"]]) {
    const { stderr, code } = await outside.run(command);
    assert.match(stderr, /several databases: shop_production, shop_production_queue\. Choose one/);
    assert.equal(code, 1);
  }
  const wrong = await outside.run(["list", "--database", "shop"]);
  assert.match(wrong.stderr, /--database shop: the backup shop has shop_production, shop_prod/);

  const { stdout, code } = await outside.run(["list", "--database", "shop_production_queue"]);
  assert.match(stdout, /^shop_production_queue .*newest backup 7 h old, RPO 26 h: ok/);
  assert.equal(code, 0);
  const [call = []] = await outside.calls("ssh");
  assert.deepEqual(call.slice(-4), ["list", "--database", "shop_production_queue", "--json"]);
});

test("several databases: a backup of all says each, one that failed leaves the others said", async (t) => {
  const outside = await several(t);
  const manifests = names.map((database) => ({ ...manifestOf("2026-11-24T03:15:02"), database }));
  const events = manifests.map((manifest) => ({ event: "backup", manifest }));
  await outside.answer("backup", { out: events });
  const all = await outside.run(["backup"]);
  assert.match(
    all.stdout,
    /Backed up shop_production of .*\n.*\nBacked up shop_production_queue of/,
  );
  assert.equal(all.code, 0);
  const [call = []] = await outside.calls("ssh");
  assert.deepEqual(call.slice(-3), ["backup", "--attached", "--json"]);
  const document = JSON.parse((await outside.run(["backup", "--json"])).stdout);
  assert.equal(document.manifests.length, 2);

  const message = '1 of 2 databases failed. "shop_production_queue": it is locked.';
  await outside.answer("backup", { out: [events[0], { event: "error", message }], code: 1 });
  const half = await outside.run(["backup", "--accept"]);
  assert.match(half.stdout, /^Backed up shop_production of/);
  assert.match(half.stderr, /^error: 1 of 2 databases failed/);
  assert.equal(half.code, 1);
  assert.ok((await outside.calls("ssh")).at(-1)?.includes("--accept"));
});

test("list: a suspect one with its reason, never the newest; each tier with its own last day", async (t) => {
  const outside = await several(t);
  const suspect = "the database has no table, 31 in the backup of 2026-11-23T03:15:01Z";
  const stamp = "2026-11-22T03:15:02";
  await outside.backups(
    entryOf(hoursAgo(1), {
      suspect: true,
      manifest: { ...manifestOf(hoursAgo(1)), suspect },
    }),
    entryOf(hoursAgo(40), { verifiedKey: "key" }),
    entryOf(stamp, { tier: "daily" }),
    entryOf("2026-11-21T03:15:02", { tier: "monthly" }),
  );
  const { stdout } = await outside.run(["list", "--database", "shop_production"]);
  const [head = "", , , ...rows] = stdout.split("\n");
  assert.match(head, /newest backup 40 h old, RPO 26 h: missed/);
  assert.match(rows[0] ?? "", /suspect/);
  assert.match(rows[1] ?? "", /^ {4}the database has no table, 31 in/);
  assert.match(rows[2] ?? "", /verified/);
  assert.match(rows[3] ?? "", /complete +2026-11-29/);
  assert.match(rows[4] ?? "", /complete +2027-11-21/);
});

test("restore: a suspect one is chosen by its time only, and said before", async (t) => {
  const outside = await Outside.open(t);
  const stamp = "2026-11-24T03:15:02";
  const suspect = "table public.orders is gone";
  await outside.backups(
    entryOf(stamp, { suspect: true, manifest: { ...manifestOf(stamp), suspect } }),
  );
  const latest = await outside.run(["restore", "--yes"]);
  assert.match(latest.stderr, /no backup of shop_production in .*\(1 are suspect, to be chosen/);
  await outside.answer("restore", { code: 1, out: [{ event: "error", message: "stopped here." }] });
  const chosen = await outside.run(["restore", "2026-11-24", "03:15:02", "--yes"]);
  assert.match(chosen.stdout, /suspect: table public\.orders is gone\)/);
  assert.match(chosen.stderr, /stopped here/);
});
