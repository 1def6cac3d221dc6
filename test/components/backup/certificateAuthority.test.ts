import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare, inputs } from "../mocks.ts";

const app = applied();

const FILE = "/etc/ssl/our-authority.pem";
const keys = { accessKeyId: "EXAMPLE", secretAccessKey: "the-secret-key" };

const given = (caFile?: string, name = "shop-backups"): Components.ExistingBucket => ({
  name,
  endpoint: "https://s3.example.com",
  region: "us-east-1",
  ...keys,
  ...(caFile !== undefined && { caFile }),
});

const made = (caFile?: string) =>
  new app.components.S3CompatibleBucket("shop-backups", {
    name: "shop-backups",
    endpoint: "https://s3.example.com",
    region: "us-east-1",
    retention: app.components.Retention.days(30),
    administrator: keys,
    writer: keys,
    ...(caFile !== undefined && { caFile }),
  });

type Changes = () => Partial<Components.PostgresBackupArgs>;

/** The block of deploy.yml. */
async function block(changes: Changes): Promise<string> {
  const declared = await declare(false, () => [app.backup(changes()).outputs]);
  return String(inputs(declared, ":RenderedBlock")["block"]);
}

describe("an authority of one's own is mounted for reading and trusted", () => {
  const table: Record<string, Changes> = {
    "of a bucket that exists": () => ({ bucket: given(FILE) }),
    "of a bucket made here": () => ({ bucket: made(FILE) }),
    "of the copy alone": () => ({
      bucket: given(),
      copy: { bucket: given(FILE, "shop-copies") },
    }),
    "of both": () => ({ bucket: made(FILE), copy: { bucket: given(FILE, "shop-copies") } }),
  };
  for (const [what, changes] of Object.entries(table)) {
    test(what, async () => {
      const text = await block(changes);
      const target = "/etc/ssl/authority-of-the-bucket.pem";
      assert.ok(
        text.includes(`mount: "type=bind,source=${FILE},target=${target},readonly"\n`),
        text,
      );
      assert.ok(text.includes(`NODE_EXTRA_CA_CERTS: ${target}\n`), text);
    });
  }
});

describe("the authority of the database's server", () => {
  const target = "/etc/ssl/authority-of-the-database.pem";
  const mounted = (file: string) => `type=bind,source=${file},target=${target},readonly`;

  test("is mounted for reading, and the container knows its path", async () => {
    const postgres = { password: "p", sslMode: "verify-ca", sslRootCertificate: FILE } as const;
    const text = await block(() => ({ bucket: given(), postgres }));
    assert.ok(text.includes(`mount: "${mounted(FILE)}"\n`), text);
    assert.ok(text.includes("POSTGRES_SSL_MODE: verify-ca\n"), text);
    assert.ok(text.includes(`POSTGRES_SSL_ROOT_CERT: ${target}\n`), text);
  });

  test("beside that of a bucket", async () => {
    const text = await block(() => ({
      bucket: given(FILE),
      postgres: { password: "p", sslRootCertificate: FILE },
    }));
    assert.match(
      text,
      /mount:\n *- .*authority-of-the-bucket\.pem,readonly"?\n *- .*authority-of-the-database\.pem,readonly/,
    );
  });

  test("a public one needs no file", async () => {
    const postgres = {
      password: "p",
      sslMode: "verify-full",
      sslRootCertificate: "system",
    } as const;
    const text = await block(() => ({ bucket: given(), postgres }));
    assert.doesNotMatch(text, /mount/);
    assert.match(text, /POSTGRES_SSL_ROOT_CERT: system\n/);
  });
});

test("the public ones are trusted without a word", async () => {
  assert.doesNotMatch(await block(() => ({ bucket: given() })), /mount|NODE_EXTRA_CA_CERTS/);
});

describe("refused in one sentence", () => {
  const place =
    /^bucket\.caFile ".*" must be an absolute path of a PEM file on the database's host/;
  const table: readonly [string, Changes, RegExp][] = [
    ["a path from here", () => ({ bucket: given("our-authority.pem") }), place],
    ["a path for the shell", () => ({ bucket: made("~/our-authority.pem") }), place],
    ["a comma", () => ({ bucket: given("/etc/ssl/our,authority.pem") }), place],
    ["nothing", () => ({ bucket: given("") }), place],
    [
      "the copy's",
      () => ({ bucket: given(), copy: { bucket: given("x.pem", "shop-copies") } }),
      /^copy\.bucket\.caFile "x\.pem" must be an absolute path/,
    ],
    [
      "the server's",
      () => ({ bucket: given(), postgres: { sslRootCertificate: "x.pem" } }),
      /^postgres\.sslRootCertificate "x\.pem" must be an absolute path/,
    ],
    [
      "a mode that there is not",
      () => ({ bucket: given(), postgres: { sslMode: "no-verify" as "require" } }),
      /^postgres\.sslMode "no-verify" must be one of disable, allow, prefer, require, verify-ca, verify-full\./,
    ],
    [
      "a mode without its authority",
      () => ({ bucket: given(), postgres: { sslMode: "verify-full" } }),
      /^postgres\.sslMode "verify-full" needs postgres\.sslRootCertificate: /,
    ],
    [
      "a public authority without the name",
      () => ({
        bucket: given(),
        postgres: { sslMode: "verify-ca", sslRootCertificate: "system" },
      }),
      /^postgres\.sslRootCertificate "system" and postgres\.sslMode "verify-ca" contradict each other/,
    ],
    [
      "two files",
      () => ({ bucket: given(FILE), copy: { bucket: given("/etc/ssl/b.pem", "shop-copies") } }),
      /^bucket\.caFile \/etc\/ssl\/our-authority\.pem and copy\.bucket\.caFile \/etc\/ssl\/b\.pem .* one file/,
    ],
  ];
  for (const [what, changes, sentence] of table) {
    test(what, () =>
      assert.rejects(block(changes), (error: Error) => {
        assert.match(error.message, sentence);
        assert.equal(error.message.includes("\n"), false);
        return true;
      }),
    );
  }
});
