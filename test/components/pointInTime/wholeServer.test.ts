import assert from "node:assert/strict";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { WAL_ROLE } from "../../../common/contracts/agentEnvironment/pointInTime.ts";
import {
  check,
  create,
  type PointInTimeServerInputs,
  read,
  delete as remove,
  update,
} from "../../../components/internal/pointInTimeServer.ts";
import {
  declaredSettings,
  HBA_LINE,
  ROLE_FIT,
  SLOT_HELD,
} from "../../../components/server/serverSettings.ts";
import {
  findServerPrograms,
  query,
  startPostgres,
  type TestPostgres,
} from "../../support/servers/postgres.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/**
 * The resource against the newest PostgreSQL that is installed here, which asks for a password everywhere. In the place of Docker a
 * script runs what the container would run. The same on the application's own server: `journeys/kamal/pointInTimeServer`.
 */
const skip =
  !((await hasSshd()) && (await findServerPrograms())) && "no OpenSSH server, or no PostgreSQL";
let server: TestPostgres;
let host: TestSshd;
let folder: string;
let hba: string;

const DOCKER = `#!/bin/sh
case "$1 $2" in
  "exec -i") [ "$5" != gone ] || { echo "Error: No such container: gone" >&2; exit 1; }; shift 5; exec "$@" ;;
  "container inspect") [ "$4" = "{{range .NetworkSettings.Networks}}{{println .IPAddress}}{{end}}" ] && echo 127.0.0.1 ;;
esac
`;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), "docker-"));
  await writeFile(join(folder, "docker"), DOCKER, { mode: 0o755 });
  const command = join(folder, "command");
  const wrapper = `#!/bin/sh\nPATH='${folder}':$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"\n`;
  await writeFile(command, wrapper, { mode: 0o755 });
  [server, host] = await Promise.all([startPostgres(), startSshd({ command })]);
  const [row] = await query(server, "postgres", "SHOW hba_file");
  hba = String(row?.["hba_file"]);
});
after(async () => {
  await host?.stop();
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

function inputs(changes: Partial<PointInTimeServerInputs> = {}): PointInTimeServerInputs {
  const { host: name, port, user, hostKey, privateKey } = host;
  return {
    container: "shop-db",
    agent: "shop-db_backup",
    target: { host: name, port, user, hostKey, privateKey },
    login: { user: server.user, port: server.port, password: server.password },
    password: "password-of-the-role",
    names: { pointInTime: "pointInTime", serverDisk: "pointInTime.serverDisk" },
    role: ROLE_FIT,
    line: HBA_LINE,
    settings: declaredSettings(256, server.major),
    slot: SLOT_HELD,
    ...changes,
  };
}

async function found() {
  const { props } = await read("x", inputs());
  const { role, line, settings, slot } = props as PointInTimeServerInputs;
  return { role, line, settings, slot };
}

/** The file, its owner and its rights. */
async function hbaFile() {
  const { uid, gid, mode } = await stat(hba);
  return { text: await readFile(hba, "utf8"), uid, gid, mode };
}

const sql = (...statements: string[]) => query(server, "postgres", ...statements);

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "",
    (error: Error) => error.message,
  );
}

async function atPreview(
  news: PointInTimeServerInputs,
  olds: Partial<PointInTimeServerInputs> = {},
): Promise<string> {
  const { failures = [] } = await check(olds, news);
  return failures.map(({ reason }) => reason).join();
}

test("prepared, changed by hand, healed and cleared: nothing is left, and pg_hba.conf has what it had", {
  skip,
}, async () => {
  // As an editor leaves it that writes no line end.
  await writeFile(hba, (await readFile(hba, "utf8")).trimEnd());
  const before = await hbaFile();
  assert.deepEqual((await found()).role, "missing");

  await create(inputs());
  const { settings } = inputs();
  const prepared = { role: ROLE_FIT, line: HBA_LINE, settings, slot: "missing" };
  assert.deepEqual(await found(), prepared);
  const { text, ...file } = await hbaFile();
  assert.equal(text, `${before.text}\n${HBA_LINE} # kamal-postgres-backup\n`);
  assert.deepEqual(file, { uid: before.uid, gid: before.gid, mode: before.mode });

  const slot = "kpb_20261128t031502_9f3a1c";
  await sql(`select pg_create_physical_replication_slot('${slot}', true)`);
  await sql("select pg_create_physical_replication_slot('of_somebody_else')");
  assert.deepEqual(await found(), { ...prepared, slot: SLOT_HELD });
  await sql(`alter role ${WAL_ROLE} superuser`);
  assert.equal((await found()).role, "is a superuser");
  const other = { password: "another-password-of-the-role" };
  await update("x", inputs(), inputs(other));
  assert.equal((await found()).role, "has another password");
  await update("x", inputs(), inputs());
  assert.deepEqual(await found(), { ...prepared, slot: SLOT_HELD });

  await remove("x", inputs());
  assert.deepEqual(
    await sql("select slot_name from pg_replication_slots"),
    [{ slot_name: "of_somebody_else" }],
    "what is not of this package stays",
  );
  await sql("select pg_drop_replication_slot('of_somebody_else')");
  assert.deepEqual(await sql(`select from pg_roles where rolname = '${WAL_ROLE}'`), []);
  assert.deepEqual(
    await sql("select from pg_file_settings where sourcefile like '%auto.conf'"),
    [],
  );
  const after = await hbaFile();
  assert.deepEqual({ ...after, text: after.text.trimEnd() }, before);
  await remove("x", inputs());
  await remove("x", inputs({ container: "gone" }));
});

test("a server whose WAL cannot be archived is refused before anything is changed in it", {
  skip,
}, async (t) => {
  const before = await hbaFile();
  const space = join(folder, "space");
  await mkdir(space, { mode: 0o777 });
  const { uid, gid } = await stat(hba);
  await chown(space, uid, gid);
  await chmod(folder, 0o755);
  t.after(() => sql("drop tablespace if exists fast"));
  await sql(`create tablespace fast location '${space}'`);
  assert.match(await refusal(create(inputs())), /has tablespaces of its own \(fast\)/);
  assert.match(await atPreview(inputs()), /has tablespaces of its own \(fast\)/);
  assert.equal(
    await atPreview(inputs(), inputs()),
    "",
    "prepared as declared, it is not asked again",
  );
  const away = { ...inputs().target, port: 1 };
  assert.equal(await atPreview(inputs({ target: away })), "", "later, if it is still so");
  const unknown = "04da6b54" as unknown as PointInTimeServerInputs["target"];
  assert.equal(await atPreview(inputs({ target: unknown })), "");
  await sql("drop tablespace fast");

  await sql(
    "alter system set synchronous_standby_names = '*'",
    "alter system set synchronous_commit = local",
    "select pg_reload_conf()",
  );
  const [row] = await sql(
    "select pg_sleep(0), current_setting('synchronous_standby_names') as names",
  );
  assert.equal(row?.["names"], "*");
  assert.match(await refusal(create(inputs())), /has synchronous_standby_names '\*'/);
  await sql(
    "alter system reset synchronous_standby_names",
    "alter system reset synchronous_commit",
    "select pg_reload_conf()",
  );

  await sql("create role plain login password 'plain'");
  const login = { user: "plain", port: server.port, password: "plain" };
  assert.match(await refusal(create(inputs({ login }))), /plain is no superuser of the server in/);
  assert.match(
    await atPreview(inputs({ login })),
    /plain is no superuser .*Take pointInTime out\.$/,
  );
  await sql("drop role plain");
  const wrong = { ...inputs().login, password: "wrong" };
  assert.match(
    await refusal(create(inputs({ login: wrong }))),
    /^pointInTime: the server in shop-db on 127\.0\.0\.1 does not answer: password authentication failed/,
  );
  const tooMuch = { max_slot_wal_keep_size: "900TB" };
  assert.match(
    await refusal(create(inputs({ settings: tooMuch }))),
    /^pointInTime\.serverDisk 900TB is more than half of what is free/,
  );
  assert.deepEqual(await hbaFile(), before);
  assert.deepEqual(await sql(`select from pg_roles where rolname = '${WAL_ROLE}'`), []);
});

test("a line of one's own that keeps the role out is said, and no success", {
  skip,
}, async () => {
  const { text } = await hbaFile();
  await writeFile(hba, `host all ${WAL_ROLE} all reject\n${text}`);
  assert.match(
    await refusal(create(inputs())),
    /was prepared, but pg_hba\.conf has "host all kpb_wal all reject; host postgres,replication kpb_wal samenet/,
  );
  await writeFile(hba, `host replication all all reject\n${text}`);
  assert.match(
    await refusal(create(inputs())),
    /does not let the role in over its network: .*pg_hba\.conf rejects replication connection/,
  );
  await writeFile(hba, text);
  await remove("x", inputs());
});
