import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, inspected } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

test("list: header, table, and what is left out", async (t) => {
  const outside = await Outside.open(t);
  const newest = hoursAgo(7.1);
  const queue = entryOf(hoursAgo(1), { database: "shop_production_queue" });
  const old = Array.from({ length: 60 }, (_, i) => entryOf(hoursAgo(30 + i), { manifest: null }));
  await outside.backups(...old, queue, entryOf(newest));
  const text = await outside.run(["list"]);
  const lines = text.stdout.split("\n");
  assert.equal(
    lines[0],
    "shop_production   s3://shop-backups-4f2a/shop/production   newest backup 7 h old, RPO 26 h: ok",
  );
  assert.match(lines[2] ?? "", /^ {2}taken \(UTC\)/);
  assert.match(lines[3] ?? "", new RegExp(`^ {2}${newest.replace("T", " ")} .*complete`));
  assert.equal(lines.at(-2), "  11 older backups: list --all");
  assert.equal(text.code, 0);
  const all = await outside.run(["list", "--all"]);
  assert.equal(all.stdout.trimEnd().split("\n").length, 64);
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.equal(json.backups.length, 61);
  assert.equal(json.backups[0].stamp, newest);
  assert.equal(json.withinRpo, true);
});

test("list: a stamp that is no time, or ahead of its time, is shown and counts for nothing", async (t) => {
  const outside = await Outside.open(t);
  const storedAt = `${hoursAgo(1)}.000Z`;
  const stamps = ["2026-13-45T99:99:99", "9999-12-31T23:59:59"];
  await outside.backups(...stamps.map((stamp) => entryOf(stamp, { storedAt })));
  const { stdout, code, stderr } = await outside.run(["list"]);
  assert.equal(code, 7, stderr);
  assert.match(stdout, /no backup counts, for 9999-12-31 23:59:59 is ahead of time .*: missed\n/);
  assert.match(stdout, /2026-13-45 99:99:99 .* ahead of time/);
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.equal(json.withinRpo, false);
  assert.equal(json.backups.length, 2);
});

test("list: nothing there", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups();
  const { stdout, code } = await outside.run(["list"]);
  assert.match(stdout, /no complete backup, RPO 26 h: missed\n$/);
  assert.equal(code, 7);
  await outside.answer("inspect", { out: inspected({ StartedAt: `${hoursAgo(3)}Z` }) });
  const young = await outside.run(["list"]);
  assert.match(young.stdout, /no backup yet, RPO 26 h: the first is due within 2[23] h\n$/);
  assert.equal(young.code, 0);
});

test("list: that the last backup failed, though the newest is young enough", async (t) => {
  const outside = await Outside.open(t);
  const lastFailure = "pg_dump failed with exit code 1";
  const backups = [entryOf(hoursAgo(7))];
  await outside.answer("list", { out: [{ event: "list", backups, lastFailure }] });
  const { stdout, code } = await outside.run(["list"]);
  assert.match(stdout, /RPO 26 h: ok\nThe last backup failed: pg_dump failed with exit code 1\n/);
  assert.equal(code, 7);
  const json = await outside.run(["list", "--json"]);
  assert.deepEqual([json.code, JSON.parse(json.stdout).lastFailure], [7, lastFailure]);
});

test("list: a partial backup and the warnings of pg_dump are said below it", async (t) => {
  const outside = await Outside.open(t);
  const entry = entryOf(hoursAgo(1));
  const dump = {
    options: ["--exclude-table=audits"],
    tablesLeftOut: [{ schema: "public", name: "audits" }],
    dataLeftOut: [],
    otherLeftOut: {},
    warnings: ["subscriptions not dumped"],
  };
  await outside.backups({
    ...entry,
    manifest: entry.manifest ? { ...entry.manifest, dump } : null,
  });
  const { stdout } = await outside.run(["list"]);
  assert.match(
    stdout,
    /complete .*\n {4}partial: without the table public\.audits; pg_dump warned: subscriptions not dumped$/m,
  );
});

test("list: before which deploy a backup was taken", async (t) => {
  const outside = await Outside.open(t);
  const revision = "1f2e3d4c5b6a79880a1b2c3d4e5f60718293a4b5";
  const [signed, planted] = [[revision, "v2.1"], ["v3"]];
  const deploys = [...planted, ...signed].map((one) => ({
    revision: one,
    key: `k-${one}`,
    ...(planted.includes(one) && { unsigned: true }),
  }));
  await outside.backups(entryOf(hoursAgo(1), { deploys }));
  const { stdout } = await outside.run(["list"]);
  assert.match(
    stdout,
    /complete .*\n +before deploy 1f2e3d4c5b6a; before deploy v2\.1; before deploy v3 \(mark not signed\)$/m,
  );
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.deepEqual(json.backups[0].deploys, signed);
  assert.deepEqual(json.backups[0].unsignedDeploys, planted);
});
