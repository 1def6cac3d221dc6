import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import type * as pulumi from "@pulumi/pulumi";
import type { SshHop } from "../../../common/contracts/stackOutputs.ts";
import { hostKeyOf } from "../../../components/accessory/hostKeys.ts";
import {
  hopOf,
  resolveSshAccess,
  type SshArgs,
  toCommandConnection,
  toSshTarget,
} from "../../../components/accessory/sshConnection.ts";
import { readKamalConfig } from "../../../kamal/configuration/config.ts";

/** What is found in a home: host keys and private keys. */
const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvEb0S9VxnVGJvnJN0tJhSgyrKFg6nYj0xJ7nVxYzzz";
const ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=";
const RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ==";
const BARE = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";

const folder = mkdtempSync(join(tmpdir(), "connection-"));
// A replacement text for String.replace.
const home = join(folder, "a $& home");
const before = { HOME: process.env["HOME"], SSH_AUTH_SOCK: process.env["SSH_AUTH_SOCK"] };
beforeEach(() => {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(join(home, ".ssh"), { recursive: true });
  process.env["HOME"] = home;
  delete process.env["SSH_AUTH_SOCK"];
});
after(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(folder, { recursive: true });
});

test("a host key is taken from the value as it is given", () => {
  const rows: [string, string][] = [
    [ED25519, ED25519],
    [` ${ED25519} root@host\n`, ` ${ED25519} root@host\n`],
    [`192.0.2.10 ${ED25519}`, ED25519],
    [`[192.0.2.10]:2222 ${ED25519} a comment\n`, ED25519],
    [`192.0.2.10\t${ED25519}\r\n`, ED25519],
    [`# 192.0.2.10:22 SSH-2.0-OpenSSH_9.2\nx ${RSA}\nx ${ECDSA}\nx ${ED25519}\n`, ED25519],
    [`x ${RSA}\nx ${ECDSA}`, ECDSA],
  ];
  for (const [given, key] of rows) assert.equal(hostKeyOf("x", 22, given, "ssh.hostKeys"), key);
});

test("a value without a host key is refused with the setting and what was found", () => {
  const rows: [string, RegExp][] = [
    ["", /but "" was found/],
    ["AAAAC3NzaC1lZDI1NTE5", /but "AAAAC3NzaC1lZDI1NTE5" was found/],
    ["ssh-ed25519", /but "ssh-ed25519" was found/],
    ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", /but "SHA256:.*\.\.\." was found/],
    [`@cert-authority * ${ED25519}`, /but "@cert-authority /],
    ["-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET", /but a private key was found/],
    [`x ${RSA}`, /is of type ssh-rsa/],
  ];
  for (const [given, sentence] of rows) {
    assert.throws(
      () => hostKeyOf("192.0.2.10", 22, given, "app:hostKeys"),
      ({ name, message }: Error) =>
        name === "Problem" &&
        message.startsWith("app:hostKeys: the host key of 192.0.2.10 ") &&
        sentence.test(message) &&
        !message.includes("SECRET"),
    );
  }
});

test("a line of known_hosts with a marker is no host key", () => {
  const file = join(home, ".ssh", "known_hosts");
  const marked = `@cert-authority * ${ED25519}\n@revoked 192.0.2.10 ${ED25519}\n`;
  writeFileSync(file, `${marked}192.0.2.10 ${ECDSA} root@host\n`);
  assert.equal(hostKeyOf("192.0.2.10", 22, undefined, "ssh.hostKeys"), ECDSA);
  execFileSync("ssh-keygen", ["-q", "-H", "-f", file], { stdio: "ignore" });
  assert.equal(hostKeyOf("192.0.2.10", 22, undefined, "ssh.hostKeys"), ECDSA);
  writeFileSync(file, marked);
  assert.throws(
    () => hostKeyOf("192.0.2.10", 22, undefined, "ssh.hostKeys"),
    /^Problem: ssh\.hostKeys: the host key of 192\.0\.2\.10 is not known/,
  );
});

/**
 * The SSH access of a deploy.yml with this `ssh:` block, and what was said about it.
 * @param secrets Kamal's, by name
 */
function accessOf(
  ssh: string,
  {
    hosts = ["192.0.2.10"],
    args = { hostKeys: { "192.0.2.10": ED25519 } },
    secrets = {},
  }: {
    readonly hosts?: readonly string[];
    readonly args?: SshArgs;
    readonly secrets?: Readonly<Record<string, string>>;
  } = {},
) {
  const path = join(home, "config/deploy.yml");
  const text = `service: shop\nssh: ${ssh}\n`;
  const config = readKamalConfig({ base: { path, text }, env: {} });
  const secret = (name: string) => secrets[name] ?? assert.fail(name);
  const lines: string[] = [];
  const log = { warn: (line: string) => void lines.push(line) };
  return { access: resolveSshAccess({ project: { config, secret }, hosts, args }, log), lines };
}

/** The SSH access of a deploy.yml that names these files. */
function resolved(...keys: string[]) {
  return accessOf(JSON.stringify({ keys })).access;
}

test("a ~ means the home, whatever characters its path has, and is published as it is: another's home is elsewhere", () => {
  writeFileSync(join(home, ".ssh", "own"), BARE);
  const access = resolved("~/.ssh/own");
  assert.notEqual(access.privateKey, undefined);
  assert.deepEqual(access.identityFiles, ["~/.ssh/own"]);
});

test("what is no private key is not taken for one", () => {
  const locked = join(home, "locked");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "secret", "-f", locked]);
  writeFileSync(join(home, "own"), BARE);
  const wrong = ["~", "~/locked.pub", "~/locked", "~/none"].map((path) =>
    path.replace("~", () => home),
  );
  assert.throws(
    () => resolved(...wrong),
    ({ name, message }: Error) =>
      name === "Problem" &&
      message.startsWith(
        `ssh.keys of deploy.yml: ${home} is a folder, ${locked}.pub is no readable private key, ${locked} is protected by a passphrase, ${home}/none does not exist here and no SSH agent runs.`,
      ),
  );
  assert.ok(resolved(...wrong, join(home, "own")).privateKey);
  process.env["SSH_AUTH_SOCK"] = join(home, "agent");
  assert.equal(resolved(...wrong).privateKey, undefined);
});

/** K18: OpenSSH's settings, in a file that `ssh.config` names. */
const SETTINGS = `Host shop-db-host
  HostName 192.0.2.10
  Port 2222
  User deploy
  ProxyJump jump-host
  IdentityFile ~/own
Host jump-host
  HostName 192.0.2.1
  Port 2200
  User jumper
Host pinned
  HostName 192.0.2.11
  HostKeyAlias the-pinned
  UserKnownHostsFile KNOWN
Host two
  HostName 192.0.2.10
  ProxyJump a,inner@b:2201
Host a
  HostName 192.0.2.3
  ProxyJump jump-host
Host b
  HostName 192.0.2.4
  ProxyJump never-asked
  IdentityFile ~/bastion
Host circle
  HostName 192.0.2.10
  ProxyJump circle
Host command
  HostName 192.0.2.10
  ProxyCommand nc %h %p
Host *
  User somebody
  Port 2022
`;
const KEYS = { "192.0.2.10": ED25519, "192.0.2.1": ECDSA, a: ED25519, b: ECDSA, circle: ECDSA };

/** With those settings and `own` as a private key. */
function aliased(hosts: readonly string[], ssh = "", args: SshArgs = { hostKeys: KEYS }) {
  writeFileSync(join(home, "own"), BARE);
  const settings = join(home, "settings");
  writeFileSync(
    settings,
    SETTINGS.replace("KNOWN", () => JSON.stringify(join(home, "known"))),
  );
  return accessOf(`{ config: settings, keys: [${JSON.stringify(join(home, "own"))}] ${ssh} }`, {
    hosts,
    args,
  });
}

test("an alias is resolved as OpenSSH does, with its bastion, and keeps its name for Kamal", () => {
  const { access } = aliased(["shop-db-host"]);
  const { hosts, proxy } = access;
  assert.deepEqual(hosts, [
    { alias: "shop-db-host", host: "192.0.2.10", port: 2222, user: "deploy", hostKey: ED25519 },
  ]);
  assert.deepEqual(proxy && hopOf(proxy), FIRST);
});

test("what deploy.yml says counts before it", () => {
  const { access } = aliased(["shop-db-host"], ", user: app, port: 22, proxy: root@jump-host:2201");
  const [host] = access.hosts;
  assert.deepEqual([host?.host, host?.user, host?.port], ["192.0.2.10", "app", 22]);
  const { proxy } = access;
  assert.deepEqual(proxy && hopOf(proxy), { ...FIRST, port: 2201, user: "root" });
});

test("what is said of every host is none of Kamal's: root and 22 stay", () => {
  const [host] = aliased(["192.0.2.10"]).access.hosts;
  assert.deepEqual([host?.user, host?.port], ["root", 22]);
});

test("settings that Kamal does not read are not read", () => {
  const { access } = accessOf("{ config: false }", {
    hosts: ["localhost"],
    args: { hostKeys: { localhost: ED25519 }, privateKey: BARE },
  });
  assert.deepEqual([access.hosts[0]?.host, access.proxy], ["localhost", undefined]);
});

test("a host key is looked up where ssh would", () => {
  writeFileSync(join(home, "known"), `the-pinned ${ECDSA}\n`);
  assert.equal(aliased(["pinned"]).access.hosts[0]?.hostKey, ECDSA);
  writeFileSync(join(home, ".ssh", "known_hosts"), `[192.0.2.10]:2222 ${RSA}\n`);
  assert.throws(
    () => aliased(["shop-db-host"], "", {}),
    /the host key of 192\.0\.2\.10 is of type ssh-rsa/,
  );
  rmSync(join(home, ".ssh", "known_hosts"));
  assert.throws(
    () => aliased(["shop-db-host"], "", {}),
    /the host key of \[192\.0\.2\.10\]:2222 is not known.*ssh-keyscan -p 2222 192\.0\.2\.10 prints/,
  );
});

test("a key may be given under the alias, too", () => {
  const { access } = aliased(["pinned"], "", { hostKeys: { pinned: ED25519 } });
  assert.equal(access.hosts[0]?.hostKey, ED25519);
});

const FIRST = { host: "192.0.2.1", port: 2200, user: "jumper", hostKey: ECDSA };
const A = { host: "192.0.2.3", port: 22, user: "somebody", hostKey: ED25519, proxy: FIRST };
const B = { host: "192.0.2.4", port: 2201, user: "inner", hostKey: ECDSA, proxy: A };

test("several bastions are followed as OpenSSH does: in a row, and by the first one's own settings", () => {
  const { proxy } = aliased(["two"]).access;
  // Where every server listens on another port by `Host *`, none is Kamal's.
  assert.deepEqual(proxy && hopOf(proxy), B);
});

test("the program's own bastions count before deploy.yml and OpenSSH's, in the order in which they are passed", () => {
  const rows: [string, object][] = [
    ["192.0.2.10:2200", { host: "192.0.2.10", port: 2200, user: "root", hostKey: ED25519 }],
    ["a,inner@b:2201", { ...B, proxy: { ...A, user: "root" } }],
  ];
  for (const [given, expected] of rows) {
    for (const ssh of ["", ", proxy: root@elsewhere", ", proxy_command: nc %h %p"]) {
      const { proxy } = aliased(["two"], ssh, { hostKeys: KEYS, proxy: given }).access;
      assert.deepEqual(proxy && hopOf(proxy), expected);
    }
  }
  assert.throws(
    () => aliased(["two"], "", { hostKeys: KEYS, proxy: "a b" }),
    /^Problem: ssh\.proxy "a b" is not \[user@\]host\[:port\], nor several/,
  );
});

test("each bastion has the private key that the program gives for it, else that of its own file, else the host's", async () => {
  writeFileSync(join(home, "bastion"), `${BARE}# bastion\n`);
  const args = { hostKeys: KEYS, proxyKeys: { a: `${BARE}# a\n`, elsewhere: "x" } };
  const { access } = aliased(["two"], "", args);
  const target = await resolvedValue(toSshTarget(access, access.hosts[0] as SshHop));
  assert.equal(target?.privateKey, BARE);
  assert.equal(target?.proxy?.privateKey, `${BARE}# bastion\n`);
  assert.equal(target?.proxy?.keyIsGiven, undefined);
  assert.equal(target?.proxy?.proxy?.privateKey, `${BARE}# a\n`);
  assert.equal(target?.proxy?.proxy?.keyIsGiven, true);
  assert.equal(target?.proxy?.proxy?.proxy?.privateKey, undefined);
  assert.equal(target && toCommandConnection(target).proxy !== undefined, true);
  const both = aliased(["two"], "", { hostKeys: KEYS, proxyKeys: { "192.0.2.4": BARE } }).access;
  const { proxy } = await resolvedValue(toSshTarget(both, both.hosts[0] as SshHop));
  assert.deepEqual(
    [proxy?.privateKey, proxy?.keyIsGiven],
    [BARE, true],
    "the program's own counts",
  );
  const [alias] = Object.keys(target?.proxy ?? {}).filter((name) => /alias|ownKey/.test(name));
  assert.equal(alias, undefined, "the state holds what is needed to get there, and nothing else");
});

test("what cannot be followed is said", () => {
  assert.throws(
    () => aliased(["circle"]),
    /goes through more than 8 bastions \(circle, circle.*perhaps in a circle\. .*ssh\.proxy/,
  );
  const { lines } = aliased(["command"]);
  assert.match(
    lines.join(),
    /reaches command by a ProxyCommand, .* Give ssh\.proxy to the program/,
  );
});

test("the key that the settings name for the host is used where deploy.yml names none", () => {
  writeFileSync(join(home, "own"), BARE);
  writeFileSync(join(home, "settings"), SETTINGS);
  const { access } = accessOf("{ config: [settings] }", {
    hosts: ["shop-db-host"],
    args: { hostKeys: KEYS },
  });
  assert.deepEqual(access.identityFiles, ["~/own"]);
  assert.ok(access.privateKey);
});

function resolvedValue<T>(output: pulumi.Output<T> | undefined): Promise<T> {
  return new Promise((done) => void output?.apply((value) => done(value as T)));
}

test("ssh.key_data: the secret that it names, or the key itself", async () => {
  const secrets = { SSH_PRIVATE_KEY: BARE };
  const named = accessOf("{ key_data: [SSH_PRIVATE_KEY] }", { secrets });
  assert.equal(await resolvedValue(named.access.privateKey), BARE);
  const inline = accessOf(`{ key_data: [${JSON.stringify(BARE)}] }`);
  assert.equal(await resolvedValue(inline.access.privateKey), BARE);
});

test("ssh.keys_only beside an agent is said", () => {
  process.env["SSH_AUTH_SOCK"] = join(home, "agent");
  assert.match(
    accessOf("{ keys_only: true }").lines.join(),
    /^ssh\.keys_only of deploy\.yml is not/,
  );
  writeFileSync(join(home, ".ssh", "id_ed25519"), BARE);
  assert.deepEqual(accessOf("{ keys_only: true }").lines, []);
});
