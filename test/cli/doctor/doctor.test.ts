import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { entryOf, hoursAgo, inspected, outputs } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

interface Examined {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly remedy?: string;
}

async function examined(outside: Outside, code: number): Promise<Map<string, Examined>> {
  const result = await outside.run(["doctor", "--json"]);
  const { checks } = JSON.parse(result.stdout) as { checks: Examined[] };
  assert.equal(result.code, code, result.stdout);
  return new Map(checks.map((one) => [one.name, one]));
}

/** A service that answers, and knows no request of S3. */
async function service(t: TestContext): Promise<Server> {
  const server = createServer((_, response) => response.writeHead(501).end());
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => server.close());
  return server;
}

test("doctor: without a project, and before the first pulumi up", async (t) => {
  const outside = await Outside.open(t);
  await mkdir(join(outside.folder, "empty"));
  const nothing = await outside.run(["-C", "empty", "doctor"]);
  assert.equal(nothing.code, 1);
  assert.match(nothing.stdout, /^ok {8}node {12}\d+/);
  assert.match(
    nothing.stdout,
    /fail {6}project {9}no Pulumi\.yaml .*\n {2}.*kamal-postgres-backup init/,
  );
  assert.match(nothing.stdout, /skipped {3}stack {11}not checked: needs project\n/);
  assert.match(nothing.stdout, /skipped {3}ssh {13}not checked: needs project\n/);
  assert.match(nothing.stdout, /skipped {3}newest backup {3}not checked: needs project\n/);
  assert.match(nothing.stdout, /\n\d+ checks: 3 ok, .* 1 failed, .* Begin with project\.\n$/);

  await writeFile(join(outside.folder, "Pulumi.yaml"), "name: shop\n");
  await outside.answer("outputs", { out: "{}" });
  const before = await examined(outside, 1);
  assert.match(before.get("stack")?.text ?? "", /publishes no backup .* Run pulumi up first/);
  // The host is known from deploy.yml, and its key is not.
  await mkdir(join(outside.folder, "config"));
  await writeFile(
    join(outside.folder, "config/deploy.yml"),
    "service: shop\nimage: acme/shop\naccessories:\n  db:\n    image: postgres:17\n    host: 192.0.2.10\n",
  );
  const known = await examined(outside, 1);
  assert.match(known.get("ssh")?.text ?? "", /the host key of 192\.0\.2\.10 is not in/);
  assert.match(known.get("ssh")?.remedy ?? "", /ssh root@192\.0\.2\.10$/);
  assert.match(known.get("docker")?.text ?? "", /needs ssh/);
  await mkdir(join(outside.folder, ".ssh"));
  const key =
    "192.0.2.10 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBase64PublicKeyOfTheTestsOwnHost0000";
  await writeFile(join(outside.folder, ".ssh/known_hosts"), `${key}\n`);
  await outside.answer("look", { out: `clock ${Math.floor(Date.now() / 1000)}\ndocker 28.1\n` });
  const reached = await outside.run(["doctor", "--json"], { HOME: outside.folder });
  const { checks, beginWith } = JSON.parse(reached.stdout);
  const docker = checks.find(({ name }: Examined) => name === "docker");
  assert.deepEqual(docker, { name: "docker", state: "ok", text: "28.1" });
  assert.equal(beginWith, "stack");

  await rm(join(outside.folder, "pulumi"));
  const without = await examined(outside, 1);
  assert.match(without.get("pulumi")?.remedy ?? "", /pulumi\.com\/docs\/install/);
  assert.equal(without.get("project")?.state, "ok");
  assert.match(without.get("stack")?.text ?? "", /needs pulumi/);
});

test("doctor: through SSH to the newest backup, and the first cause where the way ends", async (t) => {
  const outside = await Outside.open(t);
  await writeFile(join(outside.folder, "Pulumi.yaml"), "name: shop\n");
  const { port } = (await service(t)).address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;
  const location = { ...outputs.location, endpoint };
  const hosts = [{ ...outputs.hosts[0], host: "127.0.0.2" }];
  await outside.answer("outputs", { out: JSON.stringify({ b: { ...outputs, location, hosts } }) });
  await outside.backups(entryOf(hoursAgo(7)));
  await outside.answer("inspect", { out: inspected({ Health: { Status: "healthy" } }) });
  const probe =
    'database  "shop_production", PostgreSQL 17.6, pg_dump (PostgreSQL) 17.6\nbucket    s3://b/p, an upload was begun and dropped\n';
  await outside.answer("probe", { out: probe });
  const disk = "disk /dev/sda1 40000000 20000000 20000000 50% /";
  const epoch = Math.floor(Date.now() / 1000);
  await outside.answer("look", { out: `clock ${epoch}\ndocker 28.1\n${disk}\n` });
  const whole = await examined(outside, 1);
  const states = Object.fromEntries([...whole].map(([name, { state }]) => [name, state]));
  assert.deepEqual(states, {
    node: "ok",
    "ssh client": "ok",
    pulumi: "ok",
    project: "ok",
    stack: "ok",
    state: "ok",
    dns: "ok",
    tls: "warn",
    clock: "ok",
    ssh: "ok",
    "host clock": "ok",
    docker: "ok",
    disk: "ok",
    container: "ok",
    image: "warn",
    health: "ok",
    postgresql: "ok",
    versions: "ok",
    storing: "ok",
    "second bucket": "ok",
    // The state of this stack holds no key.
    bucket: "fail",
    "key's rights": "skipped",
    rules: "skipped",
    schedule: "ok",
    "newest backup": "ok",
    drill: "skipped",
    retention: "ok",
  });
  assert.match(whole.get("bucket")?.text ?? "", /the stack's state holds no key for it/);
  assert.match(whole.get("newest backup")?.text ?? "", /newest backup 7 h old, RPO 26 h: ok/);

  // Saved outputs hold no keys: nothing fails, and not all could be looked at.
  const saved = JSON.stringify({ b: { ...outputs, location, hosts } });
  await writeFile(join(outside.folder, "saved.json"), saved);
  const few = await outside.run(["--outputs", "saved.json", "doctor"]);
  assert.equal(few.code, 3, few.stdout);
  assert.match(few.stdout, /skipped {3}state {11}saved outputs hold no keys; --stack names/);
  assert.match(few.stdout, /skipped {3}bucket {10}not checked: needs state\n/);
  assert.match(few.stdout, /ok {8}newest backup {3}newest backup 7 h old/);
  assert.match(few.stdout, / 0 failed, \d not made\.\n$/);

  await outside.backups();
  const old = await examined(outside, 1);
  assert.match(old.get("newest backup")?.text ?? "", /no complete backup, RPO 26 h: missed/);
  await outside.answer("inspect", { out: inspected({ StartedAt: `${hoursAgo(1)}Z` }) });
  const young = await examined(outside, 1);
  assert.match(young.get("newest backup")?.text ?? "", /no backup yet.*the first is due within/);
  assert.equal(young.get("newest backup")?.state, "ok");
  await outside.backups(entryOf(hoursAgo(7)));
  await outside.answer("look", { out: `clock ${epoch}\nrefusal permission denied\n${disk}\n` });
  const closed = await examined(outside, 1);
  assert.match(closed.get("docker")?.remedy ?? "", /usermod -aG docker deploy/);
  for (const name of ["container", "health", "postgresql", "storing"]) {
    assert.equal(closed.get(name)?.text, "not checked: needs docker");
  }
  // Only the bucket could still tell, and the agent was not asked in vain.
  assert.match(
    closed.get("newest backup")?.text ?? "",
    /^permission denied.* The bucket could not/,
  );

  await outside.answer("probe", { err: "error: the role backup may not log in.\n", code: 1 });
  await outside.answer("look", { out: `clock ${epoch}\ndocker 28.1\n${disk}\n` });
  const role = await examined(outside, 1);
  assert.match(role.get("postgresql")?.text ?? "", /may not log in/);
  assert.equal(role.get("storing")?.text, "not checked: needs postgresql");
  assert.equal(role.get("newest backup")?.state, "ok");
});
