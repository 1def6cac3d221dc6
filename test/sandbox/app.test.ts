import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { fillIn } from "../../sandbox/services/app.ts";
import { sshdConfig } from "../../sandbox/services/ssh.ts";

const template = join(import.meta.dirname, "../../sandbox/app");
const values = {
  ID: "0000",
  SERVICE: "shop-0000",
  REGISTRY: "127.0.0.1:5001",
  ARCH: "amd64",
  SSH_USER: "root",
  SSH_PORT: "2222",
  SSH_KEY: "/keys/user",
  DB_PORT: "5433",
  STAGING_DB_PORT: "5533",
  DB_PASSWORD: "secret",
  REGISTRY_PASSWORD: "secret",
};

test("the sample application's configuration is whole once filled in", () => {
  const text = fillIn(readFileSync(join(template, "config/deploy.yml"), "utf8"), values);
  assert.match(text, /<%= ENV\.fetch\("DEPLOY_HOST", "127\.0\.0\.1"\) %>/);
  const config = parse(text.replaceAll(/<%=.*?%>/g, "127.0.0.1"));
  assert.equal(config.service, "shop-0000");
  assert.equal(config.ssh.port, 2222);
  assert.equal(config.accessories.db.image, "127.0.0.1:5001/postgres:17");
  assert.equal(config.accessories.db.port, "127.0.0.1:5433:5432");
});

test("staging boots its database under a name of its own", () => {
  const text = fillIn(readFileSync(join(template, "config/deploy.staging.yml"), "utf8"), values);
  assert.equal(parse(text).accessories.db.service, "shop-0000-staging-db");
});

test("the secrets are filled in, and an unknown placeholder is an error", () => {
  const text = fillIn(readFileSync(join(template, "kamal/secrets"), "utf8"), values);
  assert.match(text, /^POSTGRES_PASSWORD='secret'$/m);
  assert.throws(() => fillIn("__NOT_KNOWN__", values), /__NOT_KNOWN__/);
});

test("the SSH server listens on loopback alone, by key alone, with every command in the wrapper", () => {
  const config = sshdConfig({ port: 2222, dir: "/s", wrapper: "/s/command", sftp: undefined });
  for (const line of [
    "ListenAddress 127.0.0.1",
    "AuthenticationMethods publickey",
    "PasswordAuthentication no",
    'ForceCommand "/s/command"',
  ]) {
    assert.ok(config.split("\n").includes(line), line);
  }
});
