import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, inspected, outputs, recorded } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const CHAIN = "kpb_20261114t020000_0a1b2c";
const pointInTime = { keepDays: 14, rpoSeconds: 10, baseSchedule: "0 2 * * 0" };

/** @param ageHours of the newest WAL */
function reachable(ageHours: number) {
  const [from, to] = [`${hoursAgo(100)}.000Z`, `${hoursAgo(ageHours)}.000Z`];
  return {
    event: "reachable",
    windows: [{ chain: CHAIN, from, to, proven: to, bases: [hoursAgo(100)] }],
    ...{ gaps: [], alive: null, plan: null },
    newestBase: { stamp: hoursAgo(100), endedAt: from },
  };
}

test("list, status and drift show what can be recovered, where it is declared, and whether WAL still comes", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("outputs", { out: JSON.stringify({ backup: { ...outputs, pointInTime } }) });
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.backups(entryOf(hoursAgo(1)));
  await outside.answer("reachable", { out: [reachable(0)] });
  const list = await outside.run(["list"]);
  assert.match(list.stdout, /^Recovery: any second from \S+ \S+ to \S+ \S+ UTC\.$/m);
  const status = await outside.run(["status"]);
  assert.match(
    status.stdout,
    /^ {2}recovery +any second from \S+ \S+ to \S+ \S+ UTC \(\d+ s ago\)$/m,
  );
  assert.equal(status.code, 0);
  assert.equal((await outside.run(["drift"])).code, 0);

  await outside.answer("reachable", { out: [reachable(1)] });
  assert.equal((await outside.run(["status"])).code, 7);
  const drift = await outside.run(["drift"]);
  assert.match(drift.stdout, /data +newest WAL +RPO 10 s +60 min old|1 h old/);
  assert.equal(drift.code, 7);
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.equal(json.pointInTime.windows.length, 1);
});

test("without the declaration nobody is asked for it, and options of a recovery need their time", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  await outside.backups(entryOf(hoursAgo(1)));
  const { stdout, code } = await outside.run(["status"]);
  assert.doesNotMatch(stdout, /recovery/);
  assert.equal(code, 0);
  const rows: [words: string[], said: RegExp][] = [
    [
      ["restore", "--keep"],
      /^error: --keep is for a recovery to a point in time\. Give the time: --to/,
    ],
    [["verify", "--image", "postgres:17"], /^error: --image is for a recovery/],
    [["restore", "--to", "tomorrow", "--yes"], /^error: --to tomorrow is no time\./],
    [
      ["restore", "latest", "--to", "latest", "--yes"],
      /and latest names a stored backup\. Leave one/,
    ],
    [["restore", "--to", "latest", "--copy", "--yes"], /^error: --copy is for stored backups/],
    [
      ["restore", "--to", "latest", "--keep", "--volume"],
      /--keep and --volume contradict each other/,
    ],
    [["restore", "--to", "latest", "--keep", "--into", "x"], /so --into x has no use/],
    [["restore", "--to", "latest"], /restore asks before it begins a recovery, and standard input/],
  ];
  for (const [words, said] of rows) {
    const { stderr, code } = await outside.run(words);
    assert.match(stderr, said);
    assert.equal(code, 1);
  }
});

test("a moment that cannot be reached is refused with those that can", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("reachable", { out: [reachable(1)] });
  const { stderr } = await outside.run(["restore", "--to", "2020-01-01 10:00:00", "--yes"]);
  assert.match(
    stderr,
    /2020-01-01 10:00:00 UTC lies before the oldest moment that is stored\. Any second can be recovered from \S+ \S+ to/,
  );
});
