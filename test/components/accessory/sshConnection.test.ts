import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { hostKeyOf } from "../../../components/accessory/hostKeys.ts";
import { resolveSshAccess } from "../../../components/accessory/sshConnection.ts";
import type { KamalConfig } from "../../../kamal/configuration/config.ts";

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

/** The SSH access of a deploy.yml that names these files. */
function resolved(...keys: string[]): ReturnType<typeof resolveSshAccess> {
  const config = { ssh: { user: "root", port: 22, keys } } as unknown as KamalConfig;
  return resolveSshAccess(config, ["192.0.2.10"], { hostKeys: { "192.0.2.10": ED25519 } });
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
