import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseContents, parseExtraOptions } from "../../../agent/backup/pgDump.ts";
import {
  compactStamp,
  identifier,
  literal,
  siblingName,
} from "../../../agent/postgres/identifiers.ts";
import {
  createOptions,
  type DatabaseProperties,
  propertyStatements,
} from "../../../agent/restore/databaseProperties.ts";
import { redactor } from "../../../agent/runtime/redact.ts";
import { runPipeline } from "../../../agent/streams/process.ts";
import { StallTimeout } from "../../../agent/streams/stallTimeout.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import {
  type AgentSettings,
  fromEnvironment,
  toEnvironment,
} from "../../../common/contracts/agentEnvironment/environment.ts";

const SETTINGS: AgentSettings = {
  schedule: "15 3 * * *",
  postgres: {
    host: "shop-db",
    port: 5433,
    user: "shop",
    password: "p w",
    database: "shop_production",
    dumpOptions: "--no-comments",
  },
  store: {
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    bucket: "b",
    prefix: "shop/production",
    accessKeyId: "SCW",
    secretAccessKey: "secret",
    allowInsecure: true,
  },
  jitterSeconds: 30,
  databases: ["shop_production", "shop_production_queue"],
  excludedDatabases: [],
  encryption: { recipients: [1, 2].map((n) => formatRecipient(publicKeyOf(Buffer.alloc(32, n)))) },
  compressionLevel: 3,
  globals: false,
  verify: true,
  keep: { days: 30, atLeast: 3 },
  tiers: true,
  maxShrinkPercent: 20,
  notifications: { pingUrl: "https://p/x", webhookUrl: "https://w/x", metricsFile: "/m/x.prom" },
};

describe("environment", () => {
  it("reads back what it renders, with everything set and with defaults", () => {
    const { schedule: _, encryption: ___, keep: ____, ...unscheduled } = SETTINGS;
    const { endpoint: __, ...aws } = SETTINGS.store;
    const plain: AgentSettings = {
      ...unscheduled,
      postgres: { ...SETTINGS.postgres, port: 5432, dumpOptions: "" },
      store: { ...aws, region: "us-west-1", prefix: "backup", allowInsecure: false },
      jitterSeconds: 0,
      databases: ["shop_production"],
      compressionLevel: 1,
      globals: true,
      verify: false,
      tiers: false,
      maxShrinkPercent: 50,
      notifications: {},
    };
    const secretly: AgentSettings = { ...plain, encryption: { passphrase: "p w" } };
    const everything: AgentSettings = {
      ...plain,
      databases: "all",
      postgres: { ...plain.postgres, database: "postgres" },
      excludedDatabases: ["scratch"],
    };
    for (const settings of [SETTINGS, plain, secretly, everything]) {
      const { clear, secret } = toEnvironment(settings);
      assert.deepEqual(fromEnvironment({ ...clear, ...secret }), settings);
    }
  });

  it("names the variable that is missing or wrong", () => {
    const { clear, secret } = toEnvironment(SETTINGS);
    const env = { ...clear, ...secret };
    for (const name of ["POSTGRES_HOST", "POSTGRES_DATABASE", "S3_BUCKET"]) {
      assert.throws(() => fromEnvironment({ ...env, [name]: "" }), {
        name: "Problem",
        message: new RegExp(`^${name} is required`),
      });
    }
    assert.throws(() => fromEnvironment({ ...env, PASSPHRASE: "x" }), /PASSPHRASE are both set/);
    assert.throws(
      () => fromEnvironment({ ...env, COMPRESSION_LEVEL: "9" }),
      /COMPRESSION_LEVEL must be/,
    );
  });
});

describe("names", () => {
  it("quotes identifiers and literals", () => {
    assert.equal(identifier('a "b" c'), '"a ""b"" c"');
    assert.equal(literal("it's"), "'it''s'");
    assert.equal(literal("a\\'b"), "E'a\\\\''b'");
  });

  it("keeps names beside a database within 63 bytes and apart", () => {
    const stamp = compactStamp(new Date("2026-11-24T03:15:02Z"));
    assert.equal(siblingName("shop", "before", stamp), "shop_before_20261124T031502");
    const [one, other] = [`${"é".repeat(31)}a`, `${"é".repeat(31)}b`].map((name) =>
      siblingName(name, "restore", stamp),
    );
    for (const name of [one, other]) {
      assert(Buffer.byteLength(name ?? "") <= 63);
      assert.match(name ?? "", /^é+~[0-9a-f]{8}_restore_20261124T031502$/);
    }
    assert.notEqual(one, other);
  });
});

describe("the dump's options", () => {
  it("are split at white space, without what is done in any case", () => {
    assert.deepEqual(parseExtraOptions("  --schema=public  -Fc\t-T logs\n--no-password"), [
      "--schema=public",
      "-T",
      "logs",
    ]);
    assert.deepEqual(parseExtraOptions(""), []);
  });
  for (const word of [
    "-Fp",
    "--format=plain",
    "-f",
    "--file=x",
    "-j4",
    "-Z9",
    "-d",
    "--dbname=x",
  ]) {
    it(`may not have ${word}`, () => {
      assert.throws(() => parseExtraOptions(`--no-owner ${word}`), { name: "Problem" });
    });
  }
  it("tell the tables by the oids in the archive's contents", () => {
    const list = [
      "; Archive created at 2026-11-24",
      "215; 1259 16385 TABLE public odd TABLE DATA name postgres",
      "3344; 0 16385 TABLE DATA public odd TABLE DATA name postgres",
      "3345; 0 16390 TABLE DATA public b postgres",
      "3346; 0 0 BLOBS - BLOBS ",
    ].join("\n");
    assert.deepEqual(parseContents(list), { tables: new Set([16385, 16390]), largeObjects: true });
    assert.equal(parseContents("1; 2613 5 BLOB - 5 postgres").largeObjects, false);
  });
});

describe("redactor", () => {
  it("takes out every form of a secret, the longer one first", () => {
    const clean = redactor(["pass/word", "pass", undefined, "ab"]);
    assert.equal(clean("pass/word pass%2Fword pass ab"), "[secret] [secret] [secret] ab");
  });
});

describe("runPipeline", () => {
  const run = async (first: string, second: string) => {
    const env = { PATH: process.env["PATH"] };
    const pipeline = runPipeline(first, second, { args: ["a b", "$c"], env, stdin: "ignore" });
    let out = "";
    for await (const chunk of pipeline.stdout.setEncoding("utf8")) out += chunk;
    return { out, ...(await pipeline.ended) };
  };

  it("passes arguments whole and has both exit codes and both errors", async () => {
    const { out, first, second } = await run(
      'sh -c \'printf "%s|" "$@"; echo one >&2; exit 3\' x "$@"',
      "sh -c 'cat; echo two >&2; exit 4'",
    );
    assert.equal(out, "a b|$c|");
    assert.deepEqual(first, { code: 3, stderr: "one" });
    assert.deepEqual(second, { code: 4, stderr: "two" });
  });

  it("distinguishes a signal from an exit", async () => {
    const { first, second } = await run("sh -c 'kill -9 $$'", "cat");
    assert.equal(first.code, 137);
    assert.equal(second.code, 0);
  });

  it("ends both when killed, and then knows no exit code", async () => {
    const env = { PATH: process.env["PATH"] };
    const pipeline = runPipeline("sleep 60", "sleep 60", { args: [], env, stdin: "ignore" });
    pipeline.stdout.resume();
    pipeline.kill();
    const { first, second } = await pipeline.ended;
    assert.deepEqual([first.code, second.code], [null, null]);
    pipeline.kill();
  });
});

describe("StallWatch", () => {
  it("aborts with a sentence when nothing has moved for the limit", async () => {
    const watch = new StallTimeout("upload of x", 40);
    const keepAlive = setTimeout(() => {}, 5_000);
    await new Promise((resolve) => watch.signal.addEventListener("abort", resolve));
    clearTimeout(keepAlive);
    assert.equal(watch.signal.reason.name, "Problem");
    assert.match(watch.signal.reason.message, /^upload of x: no byte moved/);
  });
});

describe("a restored database", () => {
  const like: DatabaseProperties = {
    oid: 1,
    owner: "shop",
    comment: null,
    encoding: "UTF8",
    collate: "C.UTF-8",
    ctype: "C.UTF-8",
    provider: "i",
    locale: "de-DE",
    tablespace: "pg_default",
    connectionLimit: 20,
    settings: [
      { role: null, setting: 'search_path="$user", public' },
      { role: "web", setting: "statement_timeout=5s" },
      { role: null, setting: "my.name=it's" },
    ],
    grants: [{ role: null, privilege: "CONNECT", grantable: false }],
  };

  it("is made like the old one", () => {
    assert.equal(
      createOptions(like),
      `TEMPLATE template0 OWNER "shop" ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' TABLESPACE "pg_default" LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'`,
    );
    assert.equal(createOptions(null), "TEMPLATE template0");
  });

  it("gets its settings, privileges and limit", () => {
    assert.deepEqual(propertyStatements("new", like), [
      'ALTER DATABASE "new" SET "search_path" TO "$user", public',
      'ALTER ROLE "web" IN DATABASE "new" SET "statement_timeout" TO \'5s\'',
      'ALTER DATABASE "new" SET "my"."name" TO \'it\'\'s\'',
      'REVOKE ALL ON DATABASE "new" FROM PUBLIC',
      'GRANT CONNECT ON DATABASE "new" TO PUBLIC',
      'ALTER DATABASE "new" CONNECTION LIMIT 20',
    ]);
  });
});
