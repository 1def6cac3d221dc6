import assert from "node:assert/strict";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { HostConnection } from "../../../cli/session/hostConnection.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";
import { entryOf, hoursAgo, inspected, outputs, recorded } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

/**
 * The command line with the real `ssh` and a real server, which lets in the key alone that the program was given: as in
 * CI, where it is a setting of the stack and there is neither a file nor an agent.
 */
const skip = !(await hasSshd()) && "no OpenSSH server on this machine";
let server: TestSshd;
let stranger: TestSshd;

before(async () => {
  if (skip) return;
  stranger = await startSshd();
});
after(() => stranger?.stop());

/** How the engine writes a secret when it is asked to show it. */
const shown = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  plaintext: JSON.stringify(value),
});

function stateWith(privateKey: string | undefined, host = "127.0.0.1"): string {
  const target = { ...outputs.hosts[0], host, ...(privateKey !== undefined && { privateKey }) };
  const resource = (container: string, secret: unknown) => ({
    type: "pulumi-nodejs:dynamic/kamal-postgres-backup:AccessoryState",
    inputs: { container, target: shown(secret), bootInput: shown("boot") },
  });
  const resources = [
    { type: "command:remote:Command", inputs: {} },
    { ...resource("shop-db_backup", { ...target, privateKey: stranger.privateKey }), delete: true },
    resource("blog-db_backup", { ...target, privateKey: stranger.privateKey }),
    resource("shop-db_backup", target),
  ];
  return JSON.stringify({ version: 3, deployment: { resources } });
}

/** The world outside, with a server in place of the stand-in for `ssh`. */
async function open(t: TestContext): Promise<Outside> {
  const outside = await Outside.open(t);
  const stand = join(outside.folder, "host");
  await rename(join(outside.folder, "ssh"), stand);
  const wrapper = join(outside.folder, "command");
  await writeFile(wrapper, `#!/bin/sh\nexec ${stand} "$SSH_ORIGINAL_COMMAND"\n`);
  await chmod(wrapper, 0o755);
  server = await startSshd({ command: wrapper });
  t.after(() => server.stop());
  const { host, port, user, hostKey } = server;
  const hosts = [{ host, port, user, hostKey }];
  const backup = { ...outputs, hosts, identityFiles: [] };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  await writeFile(join(outside.folder, "saved.json"), JSON.stringify({ backup }));
  await outside.answer("state", { out: stateWith(server.privateKey) });
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.answer("inspect", { out: inspected() });
  await outside.backups(entryOf(hoursAgo(7)));
  return outside;
}

async function exports(outside: Outside): Promise<number> {
  return (await outside.calls("pulumi")).filter(([, word]) => word === "export").length;
}

/** How often the server turned a client away. */
async function refusals(): Promise<number> {
  return (await server.log()).match(/Connection (closed|reset) by authenticating/g)?.length ?? 0;
}

test("drift, status and list work with the key that only the stack's state has", {
  skip,
}, async (t) => {
  const outside = await open(t);
  const rows: [string[], RegExp][] = [
    [["drift"], /^no drift\n$/],
    [["drift", "--json"], /"drift": false/],
    [["status", "--json"], /"running"/],
    [["list"], /newest backup 7 h old/],
  ];
  const secret = server.privateKey.split("\n")[2] as string;
  for (const [args, sentence] of rows) {
    const before = await exports(outside);
    const { code, stdout, stderr } = await outside.run(args);
    assert.equal(stderr, "", args.join(" "));
    assert.equal(code, 0, args.join(" "));
    assert.match(stdout, sentence);
    assert.ok(!stdout.includes(secret));
    assert.equal(await exports(outside), before + 1, "the state is read once for a command");
  }
  const called = JSON.stringify([await outside.calls("ssh"), await outside.calls("pulumi")]);
  assert.ok(!called.includes(secret));
});

test("status asks the host four times, but is refused once", { skip }, async (t) => {
  const outside = await open(t);
  assert.equal((await outside.run(["status"])).code, 0);
  assert.equal(await refusals(), 1);
  assert.equal((await server.log()).match(/Accepted publickey/g)?.length, 4);
});

test("with a key that the server lets in the state is not read", { skip }, async (t) => {
  const outside = await open(t);
  const key = join(outside.folder, "no such key");
  const own = join(outside.folder, "own key");
  await writeFile(own, server.privateKey, { mode: 0o600 });
  const { host, port, user, hostKey } = server;
  const backup = { ...outputs, hosts: [{ host, port, user, hostKey }], identityFiles: [key, own] };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  const { code, stderr } = await outside.run(["drift"]);
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.equal(await exports(outside), 0);
});

test("what a command reads arrives with the second keys too, the bastion's own among them, which are looked up once", {
  skip,
}, async (t) => {
  const bastion = await startSshd();
  t.after(() => bastion.stop());
  const hop = ({ host, port, user, hostKey }: TestSshd) => ({ host, port, user, hostKey });
  const route = { host: hop(stranger), proxy: hop(bastion) };
  let lookedUp = 0;
  const connection = new HostConnection(route, async () => {
    lookedUp += 1;
    return {
      keys: { privateKey: stranger.privateKey, proxy: { privateKey: bastion.privateKey } },
    };
  });
  const read = async (input: string) => {
    const lines: string[] = [];
    const { code } = await connection.run({
      words: ["cat"],
      interrupted: "interrupted.",
      input,
      onLine: (line) => lines.push(line),
    });
    assert.equal(code, 0);
    return lines.join("\n");
  };
  assert.deepEqual(await Promise.all([read("one"), read("two")]), ["one", "two"]);
  assert.equal(await read("three"), "three");
  assert.equal(lookedUp, 1);
});

test("where no key helps, the sentence says where was looked", { skip }, async (t) => {
  const outside = await open(t);
  const base = "the server refused the keys \\(those of the SSH agent and of ~/\\.ssh\\)";
  const none = "The stack's state holds no key for shop-db_backup on 127\\.0\\.0\\.1 either\\.";
  const rows: { name: string; state: Parameters<Outside["answer"]>[1]; sentence: string }[] = [
    {
      name: "the program left it to the agent",
      state: { out: stateWith(undefined) },
      sentence: `${base}.* ${none}`,
    },
    {
      name: "a stack with the backup on another host",
      state: { out: stateWith(server.privateKey, "192.0.2.99") },
      sentence: `${base}.* ${none}`,
    },
    {
      name: "the server knows the program's key no longer",
      state: { out: stateWith(stranger.privateKey) },
      sentence: "refused the keys \\(the one that the program was given\\)",
    },
    {
      name: "Pulumi does not show the state",
      state: { err: "error: passphrase must be set\n", code: 1 },
      sentence: `${base}.*could not be looked up: pulumi stack export .*passphrase must be set`,
    },
    {
      name: "the state holds a path in place of a key",
      state: { out: stateWith("~/.ssh/id_ed25519") },
      sentence: "ssh\\.privateKey is no readable private key",
    },
  ];
  for (const { name, state, sentence } of rows) {
    await outside.answer("state", state);
    const { code, stdout, stderr } = await outside.run(["drift"]);
    assert.equal(code, 1, name);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`^error: .*${sentence}`), name);
  }
});

test("saved outputs name no stack, whose state could be read; --stack does", {
  skip,
}, async (t) => {
  const outside = await open(t);
  await rm(join(outside.folder, "pulumi.args"), { force: true });
  const alone = await outside.run(["backup", "--outputs", "saved.json"]);
  assert.equal(alone.code, 1);
  assert.match(alone.stderr, /refused the keys .*with --outputs alone.*: --stack\.\n$/);
  assert.deepEqual(await outside.calls("pulumi"), []);
  const named = await outside.run(["status", "--outputs", "saved.json", "--stack", "production"]);
  assert.equal(named.stderr, "");
  assert.equal(named.code, 0);
});
