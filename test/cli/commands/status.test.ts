import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, inspected } from "../factories.ts";
import { Outside } from "../support.ts";

test("status: a container that runs", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  await outside.backups(entryOf(hoursAgo(31)));
  const { stdout, code } = await outside.run(["status"]);
  assert.match(stdout, /container {7}shop-db_backup on 192\.0\.2\.10\n/);
  assert.match(stdout, /state {11}running for 3 d, healthy\n/);
  assert.match(stdout, /verdict {9}newest backup 31 h old, RPO 26 h: missed\n/);
  assert.equal(code, 0);
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
