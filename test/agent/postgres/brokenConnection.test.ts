import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dumpFailure } from "../../../agent/backup/pgDump.ts";
import { brokenConnection, isGone, withAdvice } from "../../../agent/postgres/brokenConnection.ts";
import { explainConnect } from "../../../agent/postgres/connectErrors.ts";
import { tlsSettings } from "../../../agent/postgres/tls.ts";
import { messageOf } from "../../../common/problem.ts";

it("a pg_hba.conf that allows one database only is named as what a restore cannot work with", () => {
  const settings = {
    host: "db",
    port: 5432,
    user: "app",
    password: "p",
    database: "shop",
    dumpOptions: "",
  };
  const refusal = Object.assign(
    new Error('no pg_hba.conf entry for host "::1", user "app", database "x", no encryption'),
    { code: "28000" },
  );
  const sentence = (database: string) =>
    messageOf(explainConnect(refusal, settings, { database, tls: tlsSettings(settings) }));
  assert.match(
    sentence("shop_restore_20261129T101010"),
    /refused user "app" to database "shop_restore_.*whose name ends with the time: .*allow this user all databases/,
  );
  for (const other of ["shop", "postgres"]) assert.match(sentence(other), /without encryption/);
});

describe("what a server's last words mean", () => {
  const said = (stderr: string) => dumpFailure({ code: 1, stderr });

  it("a dump on a standby: the settings that help", () => {
    const words =
      'pg_dump: error: Dumping the contents of table "t" failed\nERROR:  canceling statement due to conflict with recovery';
    assert.match(
      said(words),
      /conflict with recovery\. .*hot_standby_feedback.*max_standby_streaming_delay/,
    );
  });

  it("a row that is too large: the limit, and what helps", () => {
    assert.match(
      said("pg_dump: error: ERROR:  invalid memory alloc request size 1174405121"),
      /at most 1 GB.*--exclude-table-data=TABLE$/,
    );
  });

  it("anything else: its own words", () => {
    assert.equal(said("no"), "pg_dump failed with exit code 1: no");
  });

  it("a server that may not be written to has a sentence of its own", () => {
    const error = Object.assign(
      new Error("cannot execute DROP DATABASE in a read-only transaction"),
      { code: "25006" },
    );
    assert.match(
      (withAdvice(error) as Error).message,
      /^PostgreSQL answered: cannot execute DROP DATABASE .*\. The server is a standby, .* restore on the primary\.$/,
    );
  });

  it("each cause of a cut has its own words, and no code", () => {
    const at = new Date("2026-11-24T03:15:02Z");
    for (const [code, message, words] of [
      ["57P05", "terminating connection due to idle-session timeout", /ends idle sessions/],
      ["25P04", "terminating connection due to transaction timeout", /ends long transactions/],
      ["57P01", "terminating connection due to administrator command", /shut down or restarted/],
      ["40001", "terminating connection due to conflict with recovery", /hot_standby_feedback/],
      ["ETIMEDOUT", "read ETIMEDOUT", /did not answer any more/],
    ] as const) {
      const error = Object.assign(new Error(message), { code, severity: "FATAL" });
      assert.ok(isGone(error));
      const told = brokenConnection("db:5432", { at, openSeconds: 7, error }, error).message;
      assert.match(
        told,
        /^the connection to PostgreSQL at db:5432 was cut at 03:15:02 UTC, 7 s after it was opened: /,
      );
      assert.match(told, words);
      assert.doesNotMatch(told, /\(\w{5}\)|unexpected/);
    }
  });
});
