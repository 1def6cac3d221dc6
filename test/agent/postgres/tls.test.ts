import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { connect, libpqEnvironment } from "../../../agent/postgres/connection.ts";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { query } from "../../support/servers/postgres.ts";
import { agent, failure, unavailable, World } from "../world.ts";

describe("a server that is reached over TLS", { skip: unavailable, timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "kpb-tls-"));
  const [authority, other] = [join(folder, "authority.pem"), join(folder, "other.pem")];
  let world: World;
  let data: string;
  let hba: string;
  let settings: ServerSettings;

  before(async () => {
    makeCertificate(folder, other);
    const files = makeCertificate(folder, authority, "IP:127.0.0.1,DNS:db.example.com");
    world = await World.start();
    const [row] = await world.query("postgres", "SHOW data_directory");
    data = String(row?.["data_directory"]);
    hba = readFileSync(join(data, "pg_hba.conf"), "utf8");
    const { uid, gid } = statSync(data);
    for (const [name, from] of [
      ["server.crt", files.certificate],
      ["server.key", files.key],
    ] as const) {
      copyFileSync(from, join(data, name));
      chownSync(join(data, name), uid, gid);
    }
    await world.query("postgres", "CREATE ROLE plain SUPERUSER LOGIN");
    writeFileSync(join(data, "pg_hba.conf"), `host all plain 127.0.0.1/32 trust\n${hba}`);
    await world.query("postgres", "SELECT pg_reload_conf()");
    await world.database("shop", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const { host, port, user, password } = world.postgres;
    settings = { host, port, user, password, database: "shop", dumpOptions: "" };
  });
  after(async () => {
    await world?.stop();
    rmSync(folder, { recursive: true });
  });

  /** As a user who needs no password and no TLS, so that the server always obeys. */
  const asPlain = (...statements: string[]) =>
    query({ ...world.postgres, user: "plain" }, "postgres", ...statements);

  /** The server takes such lines only. */
  const server = async (ssl: "on" | "off", kind: "host" | "hostssl" | "hostnossl") => {
    const lines = hba.replaceAll(/^host\b/gm, kind);
    writeFileSync(join(data, "pg_hba.conf"), `host all plain 127.0.0.1/32 trust\n${lines}`);
    const loaded = async () => (await asPlain("SELECT pg_conf_load_time()::text AS at"))[0]?.["at"];
    const before = await loaded();
    await asPlain(`ALTER SYSTEM SET ssl = ${ssl}`, "SELECT pg_reload_conf()");
    // The server reads it when it gets to it.
    while ((await loaded()) === before);
  };

  /** Whether each of both clients got a connection, and whether it is encrypted. */
  const bothClients = async (wanted: Partial<ServerSettings>) => {
    const all = { ...settings, ...wanted };
    const sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    const ours = async () => {
      const client = await connect(all);
      try {
        return (await client.query(sql)).rows[0].ssl ? "encrypted" : "plain";
      } finally {
        await client.end();
      }
    };
    const psql = async () => {
      const { stdout } = await promisify(execFile)("psql", ["-XAtc", sql, "-d", "shop"], {
        env: libpqEnvironment(all),
      });
      return stdout.trim() === "t" ? "encrypted" : "plain";
    };
    const refused = (error: Error) => error.message;
    return { ours: await ours().catch(refused), psql: await psql().catch(refused) };
  };

  const bad = { sslRootCertificate: other };
  const good = { sslRootCertificate: authority };
  /** What each mode gets of libpq, which ours has to get too; a text: the sentence of the refusal. */
  const cases: readonly (readonly [
    ssl: "on" | "off",
    kind: "host" | "hostssl" | "hostnossl",
    wanted: Partial<ServerSettings>,
    got: "encrypted" | "plain" | RegExp,
  ])[] = [
    ["on", "hostssl", {}, "encrypted"],
    ["on", "hostssl", { sslMode: "disable" }, /without encryption.*POSTGRES_SSL_MODE=prefer/],
    ["on", "hostssl", { sslMode: "allow" }, "encrypted"],
    ["on", "hostssl", { sslMode: "prefer" }, "encrypted"],
    ["on", "hostssl", { sslMode: "require" }, "encrypted"],
    ["on", "hostssl", { sslMode: "require", ...good }, "encrypted"],
    ["on", "hostssl", { sslMode: "require", ...bad }, /not signed by an authority of .*other\.pem/],
    ["on", "hostssl", { sslMode: "prefer", ...bad }, /not signed by an authority of .*other\.pem/],
    ["on", "hostssl", { sslMode: "verify-ca", ...good }, "encrypted"],
    ["on", "hostssl", { sslMode: "verify-ca", ...bad }, /not signed by an authority/],
    ["on", "hostssl", { sslMode: "verify-full", ...good }, "encrypted"],
    [
      "on",
      "hostssl",
      { sslMode: "verify-full", ...good, host: "localhost" },
      /not for the host name "localhost"/,
    ],
    ["on", "hostssl", { sslMode: "verify-ca", ...good, host: "localhost" }, "encrypted"],
    ["on", "host", {}, "encrypted"],
    ["on", "host", { sslMode: "allow" }, "plain"],
    ["on", "host", { sslMode: "disable" }, "plain"],
    ["on", "hostnossl", {}, "plain"],
    ["on", "hostnossl", { sslMode: "require" }, /with TLS.*POSTGRES_SSL_MODE=disable/],
    ["off", "host", {}, "plain"],
    ["off", "host", { sslMode: "require" }, /offers no TLS.*POSTGRES_SSL_MODE "require" demands/],
    ["off", "host", { sslMode: "verify-full", ...good }, /offers no TLS/],
    ["off", "hostssl", {}, /without encryption/],
  ];

  it("both clients get what libpq's modes mean, and a refusal says which it is", async () => {
    let now = "";
    for (const [ssl, kind, wanted, got] of cases) {
      if (now !== `${ssl} ${kind}`) await server(ssl, kind);
      now = `${ssl} ${kind}`;
      const { ours, psql } = await bothClients(wanted);
      const about = `${now} ${JSON.stringify(wanted)}`;
      if (typeof got === "string") {
        assert.deepEqual([ours, psql], [got, got], about);
      } else {
        assert.match(ours, got, about);
        assert.doesNotMatch(psql, /^(encrypted|plain)$/, about);
      }
    }
  });

  it("a backup and a restore run over TLS, with libpq's variables too, and with the text of a certificate", async () => {
    await server("on", "hostssl");
    const env = await world.environment("shop");
    const pem = readFileSync(authority, "utf8");
    await world.backup(env);
    await world.backup({ ...env, PGSSLMODE: "verify-full", PGSSLROOTCERT: authority });
    await world.backup({ ...env, POSTGRES_SSL_MODE: "verify-full", POSTGRES_SSL_ROOT_CERT: pem });
    const oneLine = pem.replaceAll("\n", "\\n");
    const full = { ...env, POSTGRES_SSL_MODE: "verify-full", POSTGRES_SSL_ROOT_CERT: oneLine };
    const restored = await agent(full, "restore", "latest", "--into", "again", "--json");
    assert.equal(restored.code, 0, failure(restored));
  });

  it("a client's own certificate is shown by both clients", async () => {
    copyFileSync(authority, join(data, "clients.pem"));
    writeFileSync(
      join(data, "pg_hba.conf"),
      "host all plain 127.0.0.1/32 trust\nhostssl all server 127.0.0.1/32 cert\n",
    );
    chmodSync(join(folder, "server.key"), 0o600);
    process.env["PGSSLCERT"] = join(folder, "server.pem");
    process.env["PGSSLKEY"] = join(folder, "server.key");
    try {
      await asPlain(
        "CREATE ROLE server LOGIN",
        "ALTER SYSTEM SET ssl_ca_file = 'clients.pem'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
      );
      let got = await bothClients({ user: "server" });
      // The server reads it when it gets to it.
      for (let left = 50; left > 0 && got.psql !== "encrypted"; left -= 1) {
        got = await bothClients({ user: "server" });
      }
      assert.deepEqual(got, { ours: "encrypted", psql: "encrypted" });
    } finally {
      delete process.env["PGSSLCERT"];
      delete process.env["PGSSLKEY"];
      await asPlain("ALTER SYSTEM RESET ssl_ca_file");
      await server("on", "hostssl");
    }
  });

  it("settings that cannot work are refused with a sentence", async () => {
    const env = await world.environment("shop");
    const refusal = async (more: Record<string, string>) =>
      failure(await agent({ ...env, ...more }, "backup", "--json"));
    assert.match(
      await refusal({ POSTGRES_SSL_MODE: "yes" }),
      /^POSTGRES_SSL_MODE must be one of disable, allow/,
    );
    assert.match(
      await refusal({ PGSSLMODE: "no-verify" }),
      /^PGSSLMODE "no-verify" is not one of.*"require"/,
    );
    assert.match(
      await refusal({ POSTGRES_SSL_MODE: "verify-ca" }),
      /none is given.*POSTGRES_SSL_ROOT_CERT/,
    );
    assert.match(
      await refusal({ POSTGRES_SSL_ROOT_CERT: "/nowhere.pem" }),
      /^POSTGRES_SSL_ROOT_CERT \/nowhere\.pem cannot be read \(ENOENT\)/,
    );
    assert.match(
      await refusal({ POSTGRES_SSL_MODE: "require", POSTGRES_SSL_ROOT_CERT: "system" }),
      /"system".*POSTGRES_SSL_MODE=verify-full/,
    );
    assert.match(await refusal({ POSTGRES_SSL_ROOT_CERT: "system" }), /not signed by an authority/);
  });
});
