import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Difference } from "../../../cli/stack/differences.ts";
import { WAL_ROLE } from "../../../common/contracts/agentEnvironment/pointInTime.ts";
import { isSeen, lookAtServer } from "../../../components/server/serverLook.ts";
import { HBA_LINE, ROLE_FIT } from "../../../components/server/serverSettings.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { kamal } from "../../../sandbox/services/kamal.ts";
import { outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";

/** What the switch does to the real server of the application, which Kamal has booted. */
let journey: Journey;
let agent: string;
let untouched: Left;
before(async () => {
  journey = await begin();
  agent = (await outputsOf(journey.stack)).container;
  untouched = await left();
  journey.stack.configure({ pointInTimeKeep: "7d", pointInTimeServerDisk: "256MB" });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
});
after(() => journey.stack.close());

/** All that there is in the server of point-in-time recovery, and what it may have left. */
interface Left {
  readonly roles: readonly object[];
  readonly slots: readonly object[];
  readonly settings: readonly object[];
  /** Owner, rights and content. */
  readonly hba: string;
}

async function left(): Promise<Left> {
  const { world } = journey;
  const file = 'stat -c "%U %G %a" "$PGDATA/pg_hba.conf"; cat "$PGDATA/pg_hba.conf"; ls "$PGDATA"';
  return {
    roles: await query(world, `select rolname from pg_roles where rolname = '${WAL_ROLE}'`),
    slots: await query(world, "select slot_name from pg_replication_slots"),
    settings: await query(
      world,
      "select name, setting from pg_settings where name in ('max_slot_wal_keep_size', 'summarize_wal') or pending_restart order by 1",
    ),
    hba: (await docker(["exec", world.database.container, "sh", "-c", file])).stdout,
  };
}

async function sql(statement: string): Promise<void> {
  await query(journey.world, statement, "postgres");
}

async function inServer(script: string): Promise<void> {
  await docker(["exec", journey.world.database.container, "sh", "-c", script]);
}

/** Of the server, what differs by its name. */
async function serverDrift(): Promise<Record<string, string>> {
  const drift = await runCli(journey.stack, ["drift", "--json"]);
  assert.ok(drift.code === 0 || drift.code === 7, drift.stderr);
  const { differences } = JSON.parse(drift.stdout);
  return Object.fromEntries(
    (differences as Difference[])
      .filter(({ subject }) => subject.startsWith("point in time server "))
      .map(({ plane, declared, found }) => [declared, `${plane}: ${found}`]),
  );
}

async function slotIsHeld(): Promise<void> {
  // Two of them at a time archive one after the other.
  await docker(["exec", "--detach", agent, "agent", "wal"]);
  await eventually("a slot that holds WAL", 60_000, async () => {
    const held =
      "select 1 from pg_replication_slots where slot_name like 'kpb%' and wal_status = 'reserved'";
    return (await query(journey.world, held, "postgres")).length > 0 || undefined;
  });
}

test("switched on, the server has the role, the line and the settings without a restart, and the agent reads its WAL", async () => {
  const found = await left();
  assert.equal(found.roles.length, 1);
  assert.ok(found.hba.includes(`${HBA_LINE} # kamal-postgres-backup\n`), found.hba);
  assert.deepEqual(found.settings, [
    { name: "max_slot_wal_keep_size", setting: "256" },
    { name: "summarize_wal", setting: "on" },
  ]);
  for (const statement of ["create table t ()", "create role r", "create database d"]) {
    const psql = `psql -X -U ${WAL_ROLE} -d postgres -c '${statement}'`;
    const words = ["exec", journey.world.database.container, "sh", "-c", psql];
    assert.match((await docker(words, { allowFailure: true })).stderr, /permission denied/);
  }
  await slotIsHeld();
  assert.deepEqual(await serverDrift(), {});
});

test("the server is prepared before the container boots, and so is cleared after it is gone", async () => {
  const { deployment } = await journey.stack.stack.exportStack();
  const resources: readonly { urn: string; dependencies?: string[] }[] = deployment.resources;
  const of = (type: string) => resources.filter(({ urn }) => urn.includes(`:${type}::`));
  const [server] = of("PointInTimeServer");
  const [state] = of("AccessoryState");
  assert.ok(server && state?.dependencies?.includes(server.urn), JSON.stringify(state));
});

test("role, line, settings and slot that a hand has changed are drift by their names, and one up puts all of them back", async () => {
  await docker(["stop", agent]);
  await sql(`alter role ${WAL_ROLE} noreplication password 'another'`);
  await sql("alter system reset max_slot_wal_keep_size");
  await sql("alter system set summarize_wal = off");
  await inServer('sed -i "/kpb_wal/s/samenet/all/" "$PGDATA/pg_hba.conf"');
  await sql("select pg_reload_conf()");
  await sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
  assert.deepEqual(await serverDrift(), {
    [`role ${ROLE_FIT}`]: "host: may not replicate, has another password",
    [`line ${HBA_LINE}`]: `host: ${HBA_LINE.replace("samenet", "all")}`,
    "settings.max_slot_wal_keep_size 256MB": "host: -1",
    "settings.summarize_wal on": "host: off",
    "slot held": "host: missing",
  });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  await slotIsHeld();
  assert.deepEqual(await serverDrift(), {});
});

test("role and line that are gone are drift too, and come back", async () => {
  await sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${WAL_ROLE}'`);
  await sql(`drop role ${WAL_ROLE}`);
  await inServer(
    'f="$PGDATA/pg_hba.conf"; grep -v kamal-postgres-backup "$f" > /tmp/hba; cat /tmp/hba > "$f"; rm /tmp/hba',
  );
  const drift = await serverDrift();
  assert.equal(drift[`role ${ROLE_FIT}`], "host: missing");
  assert.equal(Object.values(drift).filter((found) => found === "host: missing").length, 2);
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
});

test("kamal accessory reboot, of the database and of the backup, leaves no drift", async () => {
  for (const accessory of ["db", "db_backup"]) {
    const reboot = await kamal(journey.world, ["accessory", "reboot", accessory]);
    assert.equal(reboot.code, 0, reboot.stdout);
  }
  await eventually("PostgreSQL", 60_000, async () => {
    await sql("select 1");
    return true;
  });
  await slotIsHeld();
  assert.deepEqual(await serverDrift(), {});
});

test("a server that cannot be prepared is known for what is wrong with it", async () => {
  const { database, ssh } = journey.world;
  await sql("create role pitr_plain login password 'plain'");
  const look = (changes: object) =>
    lookAtServer({
      container: database.container,
      target: {
        host: ssh.host,
        port: ssh.port,
        user: ssh.user,
        hostKey: ssh.hostKey,
        privateKey: readFileSync(ssh.keyFile, "utf8"),
      },
      login: { user: "pitr_plain", port: 5432, password: "plain" },
      ...changes,
    });
  const reason = async (changes: object) => {
    const found = await look(changes);
    return isSeen(found) ? "" : `${found.for ?? "now"}: ${found.reason}`;
  };
  try {
    assert.match(await reason({}), /^ever: pitr_plain is no superuser of the server in /);
    assert.match(
      await reason({ login: { user: "nobody", port: 5432, password: "x" } }),
      /^now: the server in .* does not answer: .*nobody/,
    );
    assert.match(
      await reason({ container: `${database.container}-none` }),
      /^gone: there is no container /,
    );
    const s3 = journey.world.store.container;
    assert.match(await reason({ container: s3 }), /^ever: the image of .* has no user postgres/);
  } finally {
    await sql("drop role pitr_plain");
  }
  journey.stack.configure({ pointInTimeKeep: "7d", pointInTimeServerDisk: "900TB" });
  const preview = await journey.stack.preview();
  assert.notEqual(preview.code, 0, preview.output);
  assert.match(
    preview.output,
    /error: .*has a problem: kamal-postgres-backup:pointInTimeServerDisk 900TB is more than half of what is free/,
  );
});

test("switched off again, nothing is left on the server", async () => {
  journey.stack.configure();
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.deepEqual(await left(), untouched);
});
