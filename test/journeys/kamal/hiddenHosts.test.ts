// tag: second sandbox
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type * as pulumi from "@pulumi/pulumi";
import {
  AwsBackupBucket,
  PostgresBackup,
  type PostgresBackupArgs,
  Retention,
} from "../../../components/index.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { commandWrapper } from "../../../sandbox/services/ssh.ts";
import { query, runCli } from "../../../sandbox/stack/actors.ts";
import { resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { openOwn, sandboxUp } from "../../support/journey.ts";
import { type HiddenHosts, hideHosts, noNamespaces } from "../../support/servers/namespaces.ts";
import { startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/**
 * Two hosts of one accessory, which only the bastion reaches: each has a backup of its own. The bastion has a user, a port, a host
 * key and a private key of its own. It and the second host are named by aliases of OpenSSH's settings, and the first host's server
 * is one of which the program says all, as of a managed one.
 */
const NAMES = ["one", "two"] as const;
type Name = (typeof NAMES)[number];

const options = { skip: noNamespaces };
let world: World;
let stack: SandboxStack;
let network: HiddenHosts;
let folder: string;
let bastion: TestSshd | undefined;
const hosts = new Map<Name, TestSshd>();
/** What the program knows of them. */
let hostKeys: Readonly<Record<string, string>>;
let schedule = "15 3 * * *";

before(async () => {
  if (noNamespaces) return;
  world = await sandboxUp();
  network = await hideHosts(world.id);
  folder = mkdtempSync(join(tmpdir(), "kpb-hidden-"));
  for (const name of NAMES) await startHost(name);
  await startBastion();
  layOutApplication();
  stack = await openOwn(world, { stack: "hidden", program });
});
after(async () => {
  const gone = await stack?.destroy();
  await stack?.close();
  for (const server of [bastion, ...hosts.values()]) await server?.stop();
  await network?.remove();
  if (folder !== undefined) rmSync(folder, { recursive: true });
  assert.equal(gone?.code ?? 0, 0, gone?.output);
});

/** A host with a home of its own; its Docker is that of this machine. A new one has another host key. */
async function startHost(name: Name): Promise<void> {
  const home = join(folder, name);
  const command = join(folder, `${name}.sh`);
  mkdirSync(home, { recursive: true });
  writeFileSync(command, await commandWrapper(home));
  chmodSync(command, 0o700);
  const { name: namespace, address } = network.hosts[NAMES.indexOf(name)] as HiddenHosts["bastion"];
  const privateKey = readFileSync(world.ssh.keyFile, "utf8");
  hosts.set(name, await startSshd({ namespace, address, port: 22, command, privateKey }));
}

async function startBastion(): Promise<void> {
  const { name: namespace, address } = network.bastion;
  // Back as it was, where it was there before.
  const { privateKey, hostPrivateKey } = bastion ?? {};
  const keys = { ...(privateKey && { privateKey }), ...(hostPrivateKey && { hostPrivateKey }) };
  bastion = await startSshd({ namespace, address, port: 2200, user: "nobody", ...keys });
}

const host = (name: Name) => hosts.get(name) as TestSshd;
/** What deploy.yml and the program call the hosts. */
const CALLED: Readonly<Record<Name, string>> = { one: "198.51.100.2", two: "hidden-two" };
const container = (name: Name) => `${world.app.service}-db_${name}`;

function layOutApplication(): void {
  const { database, registry } = world;
  for (const path of ["config", ".kamal"]) mkdirSync(join(folder, path));
  writeFileSync(
    join(folder, "config/deploy.yml"),
    `service: ${world.app.service}
image: sandbox/shop
servers: [${NAMES.map((name) => CALLED[name]).join()}]
registry: { server: "${registry.server}", username: ${registry.username}, password: [REGISTRY_PASSWORD] }
builder: { arch: ${process.arch === "x64" ? "amd64" : process.arch} }
ssh:
  proxy: nobody@hidden-bastion
  config: [ssh_config]
  keys_only: true
  keys: [${JSON.stringify(world.ssh.keyFile)}]
accessories:
  db:
    image: postgres:17
    service: ${database.container}
    roles: [web]
    env:
      clear: { POSTGRES_USER: ${database.user}, POSTGRES_DB: ${database.sibling} }
      secret: [POSTGRES_PASSWORD]
`,
  );
  writeFileSync(
    join(folder, "ssh_config"),
    `Host hidden-two\n  HostName ${host("two").host}\nHost hidden-bastion\n  HostName ${network.bastion.address}\n  Port 2200\n`,
  );
  writeFileSync(
    join(folder, ".kamal/secrets"),
    `POSTGRES_PASSWORD=${database.password}\nREGISTRY_PASSWORD=${registry.password}\n`,
    { mode: 0o600 },
  );
  learnHostKeys();
}

function learnHostKeys(): void {
  const servers = [bastion, ...hosts.values()].filter((server) => server !== undefined);
  hostKeys = Object.fromEntries(servers.map((server) => [server.host, server.hostKey]));
}

async function program() {
  const bucket = new AwsBackupBucket("hidden-backups", {
    retention: Retention.days(30),
    endpoint: world.store.endpoint,
    allowInsecure: true,
    forceDestroy: true,
  });
  const outputs: Record<string, pulumi.Output<unknown>> = {};
  for (const name of NAMES) {
    outputs[name] = new PostgresBackup(name, {
      kamal: { config: join(folder, "config/deploy.yml"), accessory: `db_${name}` },
      hosts: [CALLED[name]],
      ...(name === "one" && serverElsewhere()),
      bucket,
      prefix: `${world.app.service}/${name}`,
      firstBackup: false,
      schedule,
      ssh: { hostKeys, proxyKeys: { "hidden-bastion": bastion?.privateKey ?? "" } },
      baseImage: world.image.base,
    }).outputs;
  }
  await Promise.all(Object.values(outputs).map(resolved));
  return outputs;
}

function serverElsewhere(): Pick<PostgresBackupArgs, "database" | "postgres"> {
  const { container: server, user, password, sibling } = world.database;
  return { database: sibling, postgres: { host: server, port: 5432, user, password, major: 17 } };
}

async function scheduleOf(name: Name): Promise<string | undefined> {
  const format = ["container", "inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}"];
  const { stdout } = await docker([...format, container(name)]);
  return /^SCHEDULE=(.*)$/m.exec(stdout)?.[1];
}

test("each host has its own backup, and is reached from the bastion alone", options, async () => {
  const made = await stack.up();
  assert.equal(made.code, 0, made.output);
  for (const name of NAMES) {
    const backup = await runCli(stack, ["backup", "--name", name]);
    assert.equal(backup.code, 0, backup.stderr);
    const from = [...(await host(name).log()).matchAll(/^Accepted publickey .* from (\S+) /gm)];
    const behind = network.hosts[NAMES.indexOf(name)]?.from;
    assert.deepEqual([...new Set(from.map(([, address]) => address))], [behind]);
  }
  assert.match((await bastion?.log()) ?? "", /^Accepted publickey for nobody /m);
});

test("a restore goes to the host of its backup", options, async () => {
  const before = await host("one").log();
  const restored = await runCli(stack, ["restore", "--name", "two", "--into", "hidden", "--yes"]);
  await query(world, "drop database if exists hidden", "postgres");
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(restored.stderr + restored.stdout, /[Rr]estored/);
  assert.equal(await host("one").log(), before);
});

test(
  "with one host down, pulumi up names it and how to go on; that mends the other",
  options,
  async () => {
    await host("two").stop();
    schedule = "45 4 * * *";
    const down =
      /ssh root@198\.51\.100\.6:22 \(through 198\.\S+\): the host cannot be reached .* run pulumi up --refresh=false\./;
    const up = await stack.up();
    assert.notEqual(up.code, 0, up.output);
    assert.match(up.output, down);
    assert.deepEqual(await Promise.all(NAMES.map(scheduleOf)), ["15 3 * * *", "15 3 * * *"]);

    const project = join(stack.dir, "Pulumi.yaml");
    const text = readFileSync(project, "utf8");
    // What --refresh=false does, which cannot be handed over here.
    writeFileSync(project, text.replace(/^ *refresh: always\n/m, "    {}\n"));
    const onward = await stack.up({ refresh: false });
    writeFileSync(project, text);
    assert.notEqual(onward.code, 0, onward.output);
    assert.match(onward.output, down);
    assert.doesNotMatch(onward.output, /ssh root@198\.51\.100\.2/);
    assert.deepEqual(await Promise.all(NAMES.map(scheduleOf)), [schedule, "15 3 * * *"]);
  },
);

test(
  "a host that is back with another key is followed once the program has that key",
  options,
  async () => {
    await startHost("two");
    learnHostKeys();
    const up = await stack.up();
    assert.equal(up.code, 0, up.output);
    assert.deepEqual(await Promise.all(NAMES.map(scheduleOf)), [schedule, schedule]);
    const again = await stack.preview({ expectNoChanges: true });
    assert.equal(again.code, 0, again.output);
  },
);

test("with the bastion down, drift is a check that broke, and says so", options, async () => {
  await bastion?.stop();
  const drift = await runCli(stack, ["drift", "--name", "one"]);
  await startBastion();
  assert.equal(drift.code, 1, drift.stdout + drift.stderr);
  assert.match(
    drift.stderr,
    /^error: the check could not be made: .*the bastion 198\.\S+ cannot be reached/m,
  );
});
