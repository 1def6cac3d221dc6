import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { takeBackupLock, waitForBackup } from "../../../agent/postgres/advisoryLock.ts";
import { connect, connectionString, libpqEnvironment } from "../../../agent/postgres/connection.ts";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { startTcpRelay } from "../../support/servers/tcpRelay.ts";
import { agent, failure, pathWith, unavailable, World } from "../world.ts";

describe("a connection to the server", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let settings: ServerSettings;
  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE t AS SELECT generate_series(1, 200000) AS i");
    const { host, port, user, password } = world.postgres;
    settings = { host, port, user, password, database: "shop", dumpOptions: "" };
  });
  after(() => world?.stop());

  /** Every limit of this server, set to a second for every role. */
  const limits = async () => {
    const rows = await world.query(
      "postgres",
      `SELECT name FROM pg_settings WHERE name ~ '_timeout$' AND context = 'user' AND unit = 'ms'
       AND min_val = '0' AND name NOT IN ('tcp_user_timeout', 'wal_sender_timeout')`,
    );
    return rows.map(({ name }) => String(name));
  };

  it("no time limit of role, database or server ends a session of ours or of a program", async () => {
    const names = await limits();
    assert.ok(names.includes("idle_session_timeout"), String(names));
    for (const name of names) {
      await world.query("postgres", `ALTER ROLE postgres SET ${name} = '700ms'`);
      await world.query("postgres", `ALTER DATABASE shop SET ${name} = '600ms'`);
    }
    await world.query(
      "postgres",
      "ALTER ROLE postgres SET default_transaction_read_only = on",
      // And no other setting of theirs changes what is read, or is lost.
      "ALTER ROLE postgres SET DateStyle = 'German'; ALTER DATABASE shop SET search_path = ''",
    );
    try {
      const client = await connect(settings);
      try {
        for (const name of names) {
          const { rows } = await client.query(`SHOW ${name}`);
          assert.equal(rows[0][name], name === "lock_timeout" ? "1min" : "0", name);
        }
        const { rows } = await client.query("SHOW default_transaction_read_only");
        assert.equal(rows[0].default_transaction_read_only, "off");
      } finally {
        await client.end();
      }
      for (const name of [...names, "default_transaction_read_only"]) {
        const { stdout } = await psql(`SHOW ${name}`);
        assert.match(stdout, /^(0|off)\n$/, name);
      }
      // Between its queries a restore's main connection waits longer than the limit.
      const env = await world.environment("shop");
      await world.backup(env);
      const restored = await agent(env, "restore", "latest", "--into", "again", "--json");
      assert.equal(restored.code, 0, failure(restored));
      assert.doesNotMatch(restored.stdout, /Not restored/);
      const settingsOf = `SELECT array_agg(x ORDER BY x)::text AS settings
        FROM pg_db_role_setting s, unnest(setconfig) x WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname =`;
      const [both] = await world.query(
        "postgres",
        `SELECT (${settingsOf} 'shop')) = (${settingsOf} 'again')) AS same`,
      );
      assert.equal(both?.["same"], true);
    } finally {
      const { host, port, user, password } = settings;
      const admin = await connect({
        host,
        port,
        user,
        password,
        database: "postgres",
        dumpOptions: "",
      });
      await admin.query("ALTER ROLE postgres RESET ALL; ALTER DATABASE shop RESET ALL");
      await admin.end();
    }
  });

  const psql = (sql: string) =>
    promisify(execFile)("psql", ["-XAtc", sql, "-d", connectionString("shop")], {
      env: libpqEnvironment(settings),
    });

  it("both sides notice within two minutes that the other is gone", async () => {
    const wanted = {
      tcp_keepalives_idle: 30,
      tcp_keepalives_interval: 10,
      tcp_keepalives_count: 3,
    };
    const client = await connect(settings);
    for (const [name, value] of [
      ...Object.entries(wanted),
      ["tcp_user_timeout", 90_000] as const,
    ]) {
      const sql = `SELECT setting FROM pg_settings WHERE name = '${name}'`;
      assert.equal((await client.query(sql)).rows[0].setting, String(value), name);
      assert.equal((await psql(sql)).stdout, `${value}\n`, name);
    }
    await client.end();
    assert.match(connectionString("a'b"), /^dbname='a\\'b' keepalives=1 keepalives_idle=30/);
  });

  it("what is given by hand in PGOPTIONS reaches the programs too, and wins", () => {
    process.env["PGOPTIONS"] = "-c statement_timeout=9h";
    try {
      assert.match(libpqEnvironment(settings)["PGOPTIONS"] ?? "", /statement_timeout=0.*=9h$/);
    } finally {
      delete process.env["PGOPTIONS"];
    }
  });

  it("an IPv6 address may stand in brackets", async () => {
    await assert.rejects(
      connect({ ...settings, host: "[::1]", port: 1 }),
      /at \[::1\]:1 cannot be/,
    );
    assert.equal(libpqEnvironment({ ...settings, host: "[::1]" })["PGHOST"], "::1");
  });

  it("a connection that is cut is reported with its cause and its time", async () => {
    const client = await connect(settings);
    const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
    await world.query("postgres", `SELECT pg_terminate_backend(${rows[0].pid})`);
    const cut =
      /^the connection to PostgreSQL at 127\.0\.0\.1:\d+ was cut at \d\d:\d\d:\d\d UTC, \d+ s after it was opened: terminating connection due to administrator command\. Somebody/;
    await assert.rejects(client.query("SELECT 1"), { name: "Problem", message: cut });
    await assert.rejects(client.query("SELECT 1"), { name: "Problem", message: cut });
    await client.end();
  });

  it("a cut in the middle of a query is reported too, and so is one without a word", async () => {
    const relay = await startTcpRelay(settings.port);
    try {
      const client = await connect({ ...settings, port: relay.port });
      const asked = assert.rejects(client.query("SELECT pg_sleep(60)"), {
        name: "Problem",
        message: /was cut at .*(ECONNRESET\. The server, or|without a word\. The server crashed)/,
      });
      relay.cut();
      await asked;
      await client.end();
    } finally {
      await relay.stop();
    }
  });

  it("a backup that neither ends nor does anything is not waited for", async () => {
    const holder = await connect(settings);
    await takeBackupLock(holder, "shop");
    const never = new AbortController().signal;
    assert.equal(await waitForBackup(settings, never, 0), "idle");
    const waiting = waitForBackup(settings, never);
    await holder.end();
    assert.equal(await waiting, "ended");
  });

  for (const [when, pause] of [
    ["at once", ":"],
    ["when pg_dump has been waited for already", "sleep 1"],
  ]) {
    it(`a backup whose snapshot was cut off, seen ${when}, says by what, not that the snapshot does not exist`, async (t) => {
      const dump = execFileSync("sh", ["-c", "command -v pg_dump"], { encoding: "utf8" }).trim();
      const { port, password } = settings;
      // Waited for: pg_dump could take the snapshot from a connection that has not noticed yet, and then the backup is whole.
      const cut =
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'kamal-postgres-backup'";
      const PATH = await pathWith(t, {
        pg_dump: `case "$*" in *--snapshot*) PGOPTIONS= PGPASSWORD=${password} psql -qXAt -h 127.0.0.1 -p ${port} -U postgres -d shop -c "${cut}" >/dev/null\n${pause} ;; esac; exec ${dump} "$@"`,
      });
      const env = await world.environment("shop");
      const outcome = await agent({ ...env, PATH }, "backup", "--json");
      assert.equal(outcome.code, 1);
      assert.match(
        failure(outcome),
        /^the connection to PostgreSQL at .* was cut at .* due to administrator command.* Nothing was stored\.$/,
      );
      assert.deepEqual(await world.keys(env["S3_BUCKET"] ?? ""), []);
    });
  }

  it("a goodbye that nobody answers ends within seconds", async () => {
    const relay = await startTcpRelay(settings.port);
    try {
      const client = await connect({ ...settings, port: relay.port });
      relay.freeze();
      const started = performance.now();
      await client.end();
      assert.ok(performance.now() - started < 120_000);
    } finally {
      await relay.stop();
    }
  });
});
