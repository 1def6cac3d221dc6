import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { health, stateFolder } from "../runtime/watch.ts";
import { agent, failure, keyBeside, pathWith, unavailable, World } from "../world.ts";

describe("retention and tiers in a bucket", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("app", "CREATE TABLE t AS SELECT 1 AS i");
  });
  after(() => world?.stop());

  const folder = "shop/production";
  /** Everything that a backup of this day may consist of, and things of others that look alike. */
  const ours = [
    `${folder}/app_2026-01-01T00:00:00.dump.zst`,
    `${folder}/app_2026-01-01T00:00:00.globals.sql.zst`,
    `${folder}/app_2026-01-01T00:00:00.manifest.json`,
    `${folder}/app_2026-01-01T00:00:00.verified.json`,
    `${folder}/app_2026-01-02T00:00:00.dump`,
    `${folder}/app_2026-01-03T00:00:00.dump.gpg`,
    `${folder}/app_2026-01-04T00:00:00.pgdump.age`,
    `${folder}/suspect/app_2026-01-05T00:00:00.dump.zst`,
    `${folder}/suspect/app_2026-01-05T00:00:00.manifest.json`,
    `${folder}/restores/2026-01-01T00:00:00.123_app.restore.json`,
    `${folder}/restores/2026-01-02T00:00:00.123_look%20at.undo.json`,
    `${folder}/drills/2026-01-01T00:00:00.123_app.drill.json`,
  ];
  const others = [
    `${folder}/app.dump`,
    `${folder}/app_2026-01-01T00:00:00.txt`,
    `${folder}/app_queue_2026-01-01T00:00:00.dump`,
    `${folder}/app_queue_2026-01-01T00:00:00.dump.zst`,
    `${folder}/app_queue_2026-01-01T00:00:00.manifest.json`,
    `${folder}/restores/2026-01-01T00:00:00.123_app.json`,
    `${folder}/restores/2026-13-01T00:00:00.123_app.restore.json`,
    `${folder}/restores/2126-01-01T00:00:00.123_app.restore.json`,
    `${folder}/drills/2026-01-01T00:00:00.123_app.json`,
    `${folder}/drills/2126-01-01T00:00:00.123_app.drill.json`,
    "shop/app_2026-01-01T00:00:00.dump",
    "shop/restores/2026-01-01T00:00:00.123_app.restore.json",
  ];
  const fill = async () => {
    const env: Record<string, string> = {
      ...(await world.environment("app")),
      BACKUP_KEEP_DAYS: "30",
      BACKUP_KEEP_AT_LEAST: "1",
    };
    const bucket = env["S3_BUCKET"] ?? "";
    for (const key of [...ours, ...others]) await world.write(bucket, key, "x");
    return { env, bucket };
  };

  it("deletes the old ones of exactly this database, and nothing else", async () => {
    const { env, bucket } = await fill();
    const manifest = await world.backup(env);
    assert.deepEqual(
      await world.keys(bucket),
      [
        ...others,
        manifest.object.key,
        keyBeside(manifest, "globals.sql.zst"),
        keyBeside(manifest, "manifest.json"),
      ].toSorted(),
    );
  });

  it("goes on with a key that may not delete, and says so once in the container's life", async (t) => {
    const { env, bucket } = await fill();
    const keys = await world.keyThatMay(bucket, "s3:PutObject", "s3:GetObject", "s3:ListBucket");
    const AGENT_STATE_DIR = stateFolder(t);
    const held = { ...env, ...keys, AGENT_STATE_DIR };
    const outcome = await agent(held, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    assert.match(outcome.stderr, /BACKUP_KEEP_DAYS: the key may not delete, so 5 backups/);
    for (const key of ours) assert((await world.keys(bucket)).includes(key), key);

    const again = await agent(held, "backup", "--json");
    assert.deepEqual([again.code, again.stderr], [0, ""]);
    assert.match(
      health(AGENT_STATE_DIR).stdout,
      /succeeded \d+ s ago; BACKUP_KEEP_DAYS: the key may not delete, /,
    );
    assert.equal(health(AGENT_STATE_DIR).status, 0);

    const allowed = await agent({ ...env, AGENT_STATE_DIR }, "backup", "--json");
    assert.equal(allowed.code, 0, failure(allowed));
    assert.match(health(AGENT_STATE_DIR).stdout, /succeeded \d+ s ago$/m);
  });

  it("never gives two backups one stamp, however late in its run the first one takes its snapshot", async (t) => {
    // What a busy machine does: the snapshot comes more than a second after the start, just when a second has begun.
    const PATH = await pathWith(t, {
      pg_dump: `case "$*" in --version) sleep 1.1; while [ "$(date +%N | cut -c 1)" != 0 ]; do sleep 0.02; done;; esac
exec ${execFileSync("sh", ["-c", "command -v pg_dump"], { encoding: "utf8" }).trim()} "$@"`,
    });
    const { takenAt } = await world.backup({ ...(await world.environment("app")), PATH });
    assert(Date.now() >= Date.parse(takenAt) + 1000, "the next one could have got the same stamp");
  });

  it("puts the first of the month apart, and finds it there", async () => {
    const env = { ...(await world.environment("app")), BACKUP_TIERS: "true" };
    const first = await world.backup(env);
    const second = await world.backup(env);
    assert.equal(first.tier, "monthly");
    assert.match(first.object.key, /^shop\/production\/monthly\/app_/);
    assert.match(first.globals?.key ?? "", /^shop\/production\/monthly\/app_/);
    assert.equal(second.tier, "daily");
    const outcome = await agent(env, "list", "--json");
    const event = outcome.events.find((e) => e.event === "list");
    assert(event?.event === "list", failure(outcome));
    const tiers = event.backups.map(({ tier, globalsKey }) => [tier, globalsKey !== null]);
    assert.deepEqual(tiers, [
      ["daily", true],
      ["monthly", true],
    ]);
  });
});
