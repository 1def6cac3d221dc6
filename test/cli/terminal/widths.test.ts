import assert from "node:assert/strict";
import { test } from "node:test";
import {
  entryOf,
  hoursAgo,
  inspected,
  manifestOf,
  outputs,
  recorded,
} from "../support/factories.ts";
import { Outside } from "../support/run.ts";

/** The longest name that PostgreSQL takes, of a database and of those that a restore keeps. */
const NAME = "shop_production_of_the_northern_region_with_all_its_branches_ab";
const KEPT = "shop_production_of_the_northern_region_wi_before_20261124T102110";
const BUCKET = "shop-backups-of-the-northern-region-with-all-its-branches-4f2a";
const STAMP = "2026-11-24T03:15:02";
const DIGEST = "4f1c".repeat(16);
const UNDO = `undo ${KEPT}`;

const remark =
  "the database has no table, 31 in the backup of 2026-11-23T03:15:01Z, and it is by 99.9 percent smaller than that one";
const record = {
  ...{
    version: 1,
    action: "restore",
    database: NAME,
    result: "failed",
    from: STAMP,
    previous: null,
  },
  ...{ error: remark, startedAt: `${STAMP}.123Z`, elapsedMs: 7_380_000 },
};
const kept = {
  ...{ name: KEPT, database: NAME, kind: "before", stamp: STAMP, bytes: 3e9, sessions: 1 },
  undo: UNDO,
};
const run = { pid: 7, command: "restore", words: `restore ${STAMP}`, startedAt: `${STAMP}Z` };

async function world(outside: Outside): Promise<void> {
  const location = { ...outputs.location, bucket: BUCKET };
  const backup = { ...outputs, database: NAME, location };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  const entry = (stamp: string, over = {}) => {
    const manifest = { ...manifestOf(stamp, 2_224_695_123_456), database: NAME };
    return { ...entryOf(stamp), database: NAME, manifest, ...over };
  };
  const suspect = { ...manifestOf(STAMP), database: NAME, suspect: remark };
  await outside.backups(
    entry(hoursAgo(31)),
    entry("2026-11-23T03:15:01", { verifiedKey: "key" }),
    entry(STAMP, { suspect: true, manifest: suspect }),
    entry("2026-11-22T03:15:01", { originProblem: "signed with an unknown key" }),
  );
  const image = `registry.example.com/northern-region/shop-db-backup@sha256:${DIGEST}`;
  const Health = {
    Status: "unhealthy",
    Log: [{ Output: `broken: the last backup failed 2 s ago: ${remark}\n`, ExitCode: 1 }],
  };
  const { state } = JSON.parse(inspected({ Health }));
  await outside.answer("inspect", { out: `${JSON.stringify({ state, restarts: 3, image })}\n` });
  await outside.answer("refresh", { out: await recorded("drift") });
  const activity = {
    ...{ event: "activity", runs: [run], kept: [kept, { ...kept, kind: "unfinished" }] },
    ...{ records: [record], uploads: { count: 3, oldest: `${STAMP}Z` }, remarks: [remark] },
  };
  await outside.answer("activity", { out: [activity] });
  await outside.answer("history", { out: [{ event: "history", records: [record] }] });
  await outside.answer("kept", { out: [{ event: "kept", databases: [kept] }] });
  await outside.answer("dropped", {
    out: [{ event: "dropped", name: KEPT, database: NAME, bytes: 3e9 }],
  });
  await outside.answer("cancel", { out: [{ event: "cancelled", runs: [run] }] });
  const progress = { event: "progress", step: "download", bytes: 67e6, total: 4e8, elapsedMs: 6e3 };
  const filled = {
    ...{ event: "progress", step: "restore", done: 2, total: 10, elapsedMs: 6e3 },
    table: `public.${NAME}`,
  };
  const key = `${location.prefix}/${NAME}_${STAMP}.pgdump.age`;
  await outside.answer("restore", {
    out: [
      progress,
      filled,
      {
        ...{ event: "restored", database: NAME, from: STAMP, previous: KEPT, tables: 10 },
        ...{ rows: 2_224_695, compared: true, undo: UNDO, elapsedMs: 19_000 },
        notRestored: [remark],
      },
    ],
    err: `${remark}\n`,
  });
  await outside.asks("restore", [remark]);
  await outside.answer("verify", {
    out: [
      progress,
      {
        ...{ event: "verified", database: NAME, from: STAMP, key, depth: "stored", bytes: 4e8 },
        ...{ tables: null, unchecked: remark, signature: "signed", elapsedMs: 4200 },
      },
    ],
    code: 2,
  });
  await outside.answer("undo", {
    out: [{ event: "undone", database: NAME, from: KEPT, previous: KEPT, elapsedMs: 300 }],
  });
  const manifest = { ...manifestOf(STAMP), database: NAME };
  await outside.answer("backup", {
    out: [
      { event: "progress", step: "upload", bytes: 67e6, elapsedMs: 6e3 },
      { event: "backup", manifest: { ...manifest, object: { ...manifest.object, key } } },
    ],
  });
}

const COMMANDS: readonly (readonly [args: readonly string[], names: readonly string[]])[] = [
  [["list"], [NAME, BUCKET]],
  [["status"], [NAME, BUCKET]],
  [["drift"], ["shop-db_backup"]],
  [["history"], [NAME]],
  [["kept"], [KEPT, UNDO]],
  [["kept", "--drop", KEPT, "--yes"], [KEPT]],
  [["cancel"], ["shop-db_backup"]],
  [["backup"], [NAME, BUCKET]],
  [["verify"], [NAME]],
  [
    ["restore", "--yes"],
    [NAME, KEPT, UNDO],
  ],
  [
    ["undo", KEPT, "--yes"],
    [NAME, KEPT],
  ],
];

/** What a terminal shows in the end: a line that is drawn again takes the place of the one before. */
const linesOf = (text: string) =>
  text
    .split("\n")
    .flatMap((line) => line.split("\r\u001b[2K"))
    .filter(Boolean);

for (const columns of [60, 80, 120]) {
  test(`on ${columns} columns nothing wraps within a name, and only a line to copy is longer`, async (t) => {
    const outside = await Outside.open(t);
    outside.columns = columns;
    await world(outside);
    for (const [args, names] of COMMANDS) {
      const { stdout, stderr } = await outside.run(args);
      const lines = [...linesOf(stdout), ...linesOf(stderr)];
      for (const line of lines) {
        const isName = !line.trim().includes(" ");
        const isCommand = /^ *npx kamal-postgres-backup \S/.test(line);
        assert.ok(
          line.length <= columns || isName || isCommand,
          `${args.join(" ")}, ${line.length}: ${line}`,
        );
      }
      for (const name of names) {
        const whole = lines.some((line) => line.includes(name));
        assert.ok(whole, `${args.join(" ")}: ${name} stands whole\n${stdout}`);
      }
    }
  });
}

test("list on 80 and on 60 columns", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(
    entryOf("2026-11-24T03:15:02"),
    entryOf("2026-11-23T03:15:01", {
      suspect: true,
      manifest: { ...manifestOf("2026-11-23T03:15:01"), suspect: remark },
    }),
  );
  outside.columns = 80;
  const wide = (await outside.run(["list"])).stdout.split("\n").slice(3);
  assert.deepEqual(wide, [
    "  taken (UTC)             size   database         rows   state      kept until",
    "  2026-11-24 03:15:02   412 MB     2.8 GB   18,204,117   complete   2026-12-24",
    "  2026-11-23 03:15:01   412 MB     2.8 GB   18,204,117   suspect    2026-12-23",
    "    the database has no table, 31 in the backup of 2026-11-23T03:15:01Z, and it",
    "      is by 99.9 percent smaller than that one",
    "",
  ]);
  outside.columns = 60;
  const narrow = (await outside.run(["list"])).stdout.split("\n").slice(3, 5);
  assert.deepEqual(narrow, [
    "  taken (UTC)             size         rows   state",
    "  2026-11-24 03:15:02   412 MB   18,204,117   complete",
  ]);
});

test("status and drift on 80 columns", async (t) => {
  const outside = await Outside.open(t);
  await world(outside);
  outside.columns = 80;
  await outside.answer("inspect", {
    out: `${JSON.stringify({
      state: { Status: "exited", ExitCode: 143, StartedAt: "", FinishedAt: "" },
      restarts: 0,
      image: `registry.example.com/shop-demo-db-backup@sha256:${DIGEST}`,
    })}\n`,
  });
  await outside.answer("outputs", { out: JSON.stringify({ backup: outputs }) });
  const status = (await outside.run(["status"])).stdout.split("\n");
  assert.deepEqual(status.slice(0, 8), [
    "shop_production   s3://shop-backups-4f2a/shop/production",
    "",
    "  container   shop-db_backup on 192.0.2.10",
    "  state       exited (143), pulumi up --refresh starts it",
    "  image       registry.example.com/shop-demo-db-backup@sha256:4f1c4f1c4f1c…",
    "  schedule    15 3 * * * (UTC)",
    "  verdict     Not known: the container does not run. The bucket could not be",
    "              asked either: the stack's state holds no key for it.",
  ]);
  await outside.answer("list", { err: "Error: No such container: x\n", code: 1 });
  await outside.answer("refresh", { out: await recorded("clean") });
  const drift = (await outside.run(["drift"])).stdout.split("\n");
  assert.deepEqual(drift, [
    "host   192.0.2.10 shop-db_backup",
    "  declared running   found not running   pulumi up --refresh starts it",
    "note: the age of the newest backup could not be judged: there is no container",
    "  shop-db_backup on 192.0.2.10. Run pulumi up --refresh to boot it. The bucket",
    "  could not be asked either: the stack's state holds no key for it.",
    "1 difference",
    "",
  ]);
});
