import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fromEnvironment } from "../../../common/contracts/agentEnvironment/environment.ts";
import {
  KNOWN_VARIABLES,
  translateVariables,
} from "../../../common/contracts/agentEnvironment/legacyVariables.ts";
import { notificationUrlFault } from "../../../common/contracts/agentEnvironment/notifications.ts";

const BASE = {
  POSTGRES_HOST: "db",
  POSTGRES_USER: "shop",
  POSTGRES_PASSWORD: "p",
  POSTGRES_DATABASE: "shop",
  S3_BUCKET: "b",
  S3_ACCESS_KEY_ID: "key",
  S3_SECRET_ACCESS_KEY: "secret",
};

const settingsOf = (env: Record<string, string | undefined>) =>
  fromEnvironment(translateVariables(env).env);

describe("understand", () => {
  const table: readonly [
    what: string,
    given: Record<string, string | undefined>,
    becomes: Record<string, string | undefined>,
    notices: readonly RegExp[],
  ][] = [
    ["our own names: silence", { SCHEDULE: "@daily" }, { SCHEDULE: "@daily" }, []],
    ["an empty value", { SCHEDULE: "" }, { SCHEDULE: undefined }, []],
    [
      "**None**",
      { SCHEDULE: "**None**", S3_ENDPOINT: "**None**" },
      { SCHEDULE: undefined, S3_ENDPOINT: undefined },
      [],
    ],
    [
      "a link",
      {
        POSTGRES_HOST: undefined,
        POSTGRES_PORT_5432_TCP_ADDR: "172.17.0.2",
        POSTGRES_PORT_5432_TCP_PORT: "5433",
        POSTGRES_PORT: "tcp://172.17.0.2:5433",
      },
      { POSTGRES_HOST: "172.17.0.2", POSTGRES_PORT: "5433" },
      [/_TCP_ADDR is read as POSTGRES_HOST/, /_TCP_PORT is read as POSTGRES_PORT/],
    ],
    [
      "a link and a host",
      { POSTGRES_PORT_5432_TCP_ADDR: "172.17.0.2" },
      { POSTGRES_HOST: "db" },
      [/_TCP_ADDR is ignored: POSTGRES_HOST is set and wins/],
    ],
    [
      "extra options",
      { POSTGRES_EXTRA_OPTS: "--no-owner" },
      { PGDUMP_EXTRA_OPTS: "--no-owner" },
      [/read as PGDUMP_EXTRA_OPTS/],
    ],
    [
      "keys as AWS names them",
      {
        S3_ACCESS_KEY_ID: undefined,
        S3_SECRET_ACCESS_KEY: undefined,
        AWS_ACCESS_KEY_ID: "k",
        AWS_SECRET_ACCESS_KEY: "s",
        AWS_DEFAULT_REGION: "eu-west-3",
      },
      { S3_ACCESS_KEY_ID: "k", S3_SECRET_ACCESS_KEY: "s", S3_REGION: "eu-west-3" },
      [/AWS_ACCESS_KEY_ID is read/, /AWS_SECRET_ACCESS_KEY is read/, /AWS_DEFAULT_REGION is read/],
    ],
    [
      "the same value twice: silence",
      { AWS_ACCESS_KEY_ID: "key" },
      { S3_ACCESS_KEY_ID: "key" },
      [],
    ],
    [
      "a password is never taken for none",
      { ENCRYPTION_PASSWORD: "hush" },
      { PASSPHRASE: "hush" },
      [/ENCRYPTION_PASSWORD is read as PASSPHRASE/],
    ],
    [
      "an age in days",
      { DELETE_OLDER_THAN: "30 days ago" },
      { BACKUP_KEEP_DAYS: "30" },
      [/read as BACKUP_KEEP_DAYS/],
    ],
    [
      "an age in weeks",
      { DELETE_OLDER_THAN: "2 weeks" },
      { BACKUP_KEEP_DAYS: "14" },
      [/read as BACKUP_KEEP_DAYS/],
    ],
    [
      "an age that is unclear",
      { DELETE_OLDER_THAN: "last month" },
      { BACKUP_KEEP_DAYS: undefined },
      [/value is not understood. Set BACKUP_KEEP_DAYS instead/],
    ],
    [
      "metrics",
      { ENABLE_METRICS: "true" },
      { METRICS_FILE: "/metrics/metrics.txt" },
      [/read as METRICS_FILE/],
    ],
    ["no metrics", { ENABLE_METRICS: "false" }, { METRICS_FILE: undefined }, []],
    [
      "the dead folder",
      { S3_PATH: "backups" },
      { S3_PREFIX: undefined },
      [/S3_PATH is ignored: .*the folder is S3_PREFIX/],
    ],
    ["signatures", { S3_S3V4: "yes" }, {}, [/S3_S3V4 is ignored/]],
    ["a fixed name", { S3_FILE_NAME: "db" }, {}, [/S3_FILE_NAME is ignored/]],
    [
      "a restore at the start",
      { BACKUP_FILE: "backup/x.dump" },
      {},
      [/BACKUP_FILE is ignored: .*restore\.sh TIMESTAMP/],
    ],
    [
      "all",
      { POSTGRES_DATABASE: "all" },
      { POSTGRES_DATABASE: "all" },
      [/POSTGRES_BACKUP_ALL=true/],
    ],
  ];
  for (const [what, given, becomes, notices] of table) {
    it(what, () => {
      const translated = translateVariables({ ...BASE, ...given });
      for (const [name, value] of Object.entries(becomes)) {
        assert.equal(translated.env[name], value, name);
      }
      assert.equal(translated.warnings.length, notices.length, translated.warnings.join("\n"));
      for (const [index, pattern] of notices.entries()) {
        assert.match(translated.warnings[index] ?? "", pattern);
      }
      for (const notice of translated.warnings) assert.doesNotMatch(notice, /hush|172\.17/);
    });
  }

  it("every known variable gives exactly one line, and the documentation has a row for it", () => {
    const page = readFileSync(
      new URL("../../../docs/moving/compatibility.md", import.meta.url),
      "utf8",
    );
    for (const name of KNOWN_VARIABLES) {
      const value = name === "ENABLE_METRICS" ? "yes" : "7 days ago";
      assert.equal(translateVariables({ [name]: value }).warnings.length, 1, name);
      assert.match(page, new RegExp(`^\\| .*\`${name}\`.* \\|$`, "m"), `${name} in the page`);
    }
  });

  it("the example of the old image's documentation works as it stands", () => {
    const settings = settingsOf({
      SCHEDULE: "@weekly",
      BACKUP_KEEP_DAYS: "7",
      PASSPHRASE: "passphrase",
      S3_REGION: "region",
      S3_ACCESS_KEY_ID: "key",
      S3_SECRET_ACCESS_KEY: "secret",
      S3_BUCKET: "my-bucket",
      S3_PREFIX: "backup",
      POSTGRES_HOST: "postgres",
      POSTGRES_DATABASE: "dbname",
      POSTGRES_USER: "user",
      POSTGRES_PASSWORD: "password",
    });
    assert.deepEqual(
      { schedule: settings.schedule, keep: settings.keep?.days, encryption: settings.encryption },
      { schedule: "@weekly", keep: 7, encryption: { passphrase: "passphrase" } },
    );
    assert.equal(settings.store.prefix, "backup");
    assert.equal(settings.postgres.port, 5432);
  });
});

describe("notificationUrlFault", () => {
  const table: readonly [address: string, fault: RegExp | undefined][] = [
    ["https://hc-ping.com/s3cret-path", undefined],
    ["https://user@example.com/s3cret-path", /holds a user name/],
    ["http://127.0.0.1:8000/s3cret-path", undefined],
    ["http://[::1]:8000/s3cret-path", undefined],
    ["http://localhost/s3cret-path", undefined],
    ["http://uptime-kuma:3001/s3cret-path", undefined],
    ["http://example.com/s3cret-path", /plain http to example\.com; use https/],
    ["http://192.0.2.10/s3cret-path", /plain http/],
    ["ftp://example.com/s3cret-path", /must begin with https/],
    ["example.com/s3cret-path", /is not an address|must begin/],
    ["s3cret-path", /is not an address/],
  ];
  for (const [address, fault] of table) {
    it(address, () => {
      const found = notificationUrlFault(address);
      if (fault === undefined) assert.equal(found, undefined);
      else {
        assert.match(found ?? "", fault);
        assert.doesNotMatch(found ?? "", /s3cret/);
        assert.throws(() => settingsOf({ ...BASE, PING_URL: address }), {
          name: "Problem",
          message: /^PING_URL /,
        });
      }
    });
  }

  it("a file of metrics needs an absolute path", () => {
    assert.throws(() => settingsOf({ ...BASE, METRICS_FILE: "x.prom" }), {
      name: "Problem",
      message: /^METRICS_FILE must be an absolute path/,
    });
  });
});
