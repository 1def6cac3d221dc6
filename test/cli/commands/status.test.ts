import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, inspected, recorded } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

test("status: a container that runs", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  await outside.backups(entryOf(hoursAgo(31)));
  const { stdout, code } = await outside.run(["status"]);
  assert.match(stdout, /container {7}shop-db_backup on 192\.0\.2\.10\n/);
  assert.match(stdout, /state {11}running for 3 d, healthy\n/);
  assert.match(stdout, /verdict {9}newest backup 31 h old, RPO 26 h: missed\n/);
  assert.equal(code, 7);
});

test("status: the exit code tells bad news, and the colour is the verdict's", async (t) => {
  const outside = await Outside.open(t);
  const healthy = { Status: "healthy", Log: [{ Output: "waiting\n", ExitCode: 0 }] };
  const failed = { Output: "broken: the last backup failed 3 s ago: no\n", ExitCode: 1 };
  const young = { Health: healthy, StartedAt: `${hoursAgo(1)}Z` };
  const rows: [state: object, newest: number | undefined, code: number, said: RegExp][] = [
    [{ Health: healthy }, 7, 0, /RPO 26 h: ok/],
    [{ Health: healthy }, 31, 7, /RPO 26 h: missed/],
    [{ Health: healthy }, undefined, 7, /no complete backup, RPO 26 h: missed/],
    [young, undefined, 0, /no backup yet, RPO 26 h: the first is due within 2[45] h/],
    [{ Health: { Status: "unhealthy", Log: [failed] } }, 7, 7, /health +broken: the last backup/],
    [{ Health: { Status: "starting", Log: [failed] } }, 7, 0, /state +running for 3 d, starting/],
    [{ Status: "exited", ExitCode: 143, FinishedAt: `${hoursAgo(2)}Z` }, 7, 7, /exited \(143\)/],
    [{ Status: "restarting", ExitCode: 1 }, 7, 7, /state +restarting/],
  ];
  for (const [state, newest, code, said] of rows) {
    await outside.answer("inspect", { out: inspected(state) });
    await outside.backups(...(newest === undefined ? [] : [entryOf(hoursAgo(newest))]));
    const text = await outside.run(["status"]);
    assert.match(text.stdout, said);
    assert.equal(text.code, code, text.stdout);
    assert.equal((await outside.run(["status", "--json"])).code, code);
  }
});

test("status and drift: a backup whose dump was stored again after its manifest", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  const [newest, older] = [hoursAgo(1), hoursAgo(25)];
  const again = { overwritten: true };
  await outside.backups(entryOf(newest), entryOf(older, again), entryOf(hoursAgo(49), again));
  const mark = `shop_production of ${older.replace("T", " ")} UTC and 1 more: stored again after`;
  const status = await outside.run(["status"]);
  assert.match(status.stdout, new RegExp(`\\n  overwritten +${mark}`));
  assert.equal(status.code, 0, "the digest decides");
  const json = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.ok(json.overwritten.startsWith(mark));
  await outside.answer("refresh", { out: await recorded("clean") });
  const drift = await outside.run(["drift"]);
  assert.match(drift.stdout, new RegExp(`^note: overwritten: ${mark}`, "m"));
});

test("status: what the health check has to say", async (t) => {
  const outside = await Outside.open(t);
  const said =
    "waiting; the last backup succeeded 5 s ago; BACKUP_KEEP_DAYS: the key may not delete";
  const Log = [{ Output: "waiting; no backup has run\n" }, { Output: `${said}\n` }];
  await outside.answer("inspect", {
    out: inspected({ Health: { Status: "healthy", Log } }),
  });
  await outside.backups(entryOf(hoursAgo(1)));
  assert.match((await outside.run(["status"])).stdout, new RegExp(`\\n  health +${said}\\n`));
  const json = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.equal(json.container.remark, said);
});

test("status: a backup that has just ended is known, whatever Docker still remembers", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(1)));
  const before = "waiting; no backup has run since the container started";
  const broken = "broken: the last backup failed 2 s ago: no space";
  const rows = [
    [
      "healthy",
      { out: "waiting; the last backup succeeded 2 s ago\n" },
      "healthy",
      /succeeded 2 s/,
    ],
    ["unhealthy", { out: "waiting; the last backup succeeded 2 s ago\n" }, "healthy", /succeeded/],
    ["healthy", { out: `${broken}\n`, code: 1 }, "unhealthy", /failed 2 s ago: no space/],
    ["starting", { out: "the scheduler has not started\n", code: 1 }, "starting", /not started/],
    ["healthy", { err: "executable file not found\n", code: 127 }, "healthy", /no backup has run/],
  ] as const;
  for (const [docker, answer, health, remark] of rows) {
    const Health = { Status: docker, Log: [{ Output: `${before}\n` }] };
    await outside.answer("inspect", { out: inspected({ Health }) });
    await outside.answer("health", answer);
    const { container } = JSON.parse((await outside.run(["status", "--json"])).stdout);
    assert.equal(container.health, health);
    assert.match(container.remark, remark);
  }
});

test("status: a container that is down, or gone, is an answer", async (t) => {
  const outside = await Outside.open(t);
  const exited = { Status: "exited", ExitCode: 137, FinishedAt: `${hoursAgo(2.1)}Z` };
  await outside.answer("inspect", { out: inspected(exited) });
  const down = await outside.run(["status"]);
  assert.match(down.stdout, /state {7}exited \(137\) 2 h ago, pulumi up --refresh starts it\n/);
  assert.match(
    down.stdout,
    /verdict {5}Not known: the container does not run. The bucket could not/,
  );
  await outside.answer("inspect", { out: "\n", err: "Error: No such container: x\n", code: 1 });
  const gone = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.equal(gone.container.status, "missing");
  assert.equal(gone.withinRpo, null);
  assert.equal(gone.seen, null);
  assert.match(gone.error, /^Not known: .* The bucket could not be asked either: /);
});

test("status: an answer that is no container's state breaks it", async (t) => {
  const outside = await Outside.open(t);
  for (const out of ["", '{"state":{}}\n', "banner\n"]) {
    await outside.answer("inspect", { out });
    const { code, stderr } = await outside.run(["status"]);
    assert.equal(code, 1);
    assert.match(stderr, /docker inspect shop-db_backup .* does not read/);
  }
});
