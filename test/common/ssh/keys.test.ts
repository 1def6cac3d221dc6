import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  checkPrivateKey,
  hasPassphrase,
  portablePrivateKey,
  writePrivateKey,
} from "../../../common/ssh/keys.ts";

const folder = mkdtempSync(join(tmpdir(), "keys-"));
after(() => rmSync(folder, { recursive: true }));

/** A key as ssh-keygen writes it. */
function made(name: string, ...options: string[]): string {
  const path = join(folder, name);
  execFileSync("ssh-keygen", ["-q", "-C", "test", "-f", path, ...options]);
  return readFileSync(path, "utf8");
}

test("a passphrase is seen in each format that ssh-keygen writes", () => {
  const rsa = ["-t", "rsa", "-b", "2048"];
  const rows: [string, string[]][] = [
    ["openssh", ["-t", "ed25519"]],
    ["pem", [...rsa, "-m", "PEM"]],
    ["pkcs8", [...rsa, "-m", "PKCS8"]],
  ];
  for (const [name, options] of rows) {
    assert.equal(hasPassphrase(made(name, ...options, "-N", "")), false, name);
    assert.equal(hasPassphrase(made(`${name}-locked`, ...options, "-N", "secret")), true, name);
  }
  const cut = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----";
  assert.equal(hasPassphrase(cut), false);
  const damaged = `-----BEGIN OPENSSH PRIVATE KEY-----\n${"QUJD".repeat(20)}\n-----END OPENSSH PRIVATE KEY-----`;
  assert.equal(hasPassphrase(damaged), false);
  assert.equal(hasPassphrase("THIS IS NOT ENCRYPTED"), false);
  const locked = readFileSync(join(folder, "openssh-locked"), "utf8");
  assert.equal(hasPassphrase(locked.replaceAll("\n", "\\n")), true);
});

test("a key that ssh could not use is refused in a sentence that does not repeat it", () => {
  const locked = made("locked", "-t", "ed25519", "-N", "secret");
  const rows: [string, RegExp][] = [
    [locked, /^ssh\.privateKey is protected by a passphrase/],
    ["~/.ssh/id_ed25519", /^ssh\.privateKey is no readable private key.*not its path/],
    ["", /^ssh\.privateKey is no readable private key/],
    [
      "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r",
      /^ssh\.privateKey is no readable private key.*last one/,
    ],
    [
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
      /^ssh\.privateKey is no readable private key/,
    ],
    [
      "-----BEGIN PUBLIC KEY-----\nENCRYPTED\n-----END PUBLIC KEY-----",
      /^ssh\.privateKey is no readable private key/,
    ],
  ];
  for (const [key, sentence] of rows) {
    assert.throws(
      () => checkPrivateKey(key),
      ({ name, message }: Error) =>
        name === "Problem" && sentence.test(message) && (key === "" || !message.includes(key)),
    );
  }
  const bare = made("bare", "-t", "ed25519", "-N", "");
  checkPrivateKey(`\n${bare}`);
  checkPrivateKey(bare.replaceAll("\n", "\\n"));
  checkPrivateKey(bare.replaceAll("\n", "\r"));
});

test("a key is written for this user alone, with the line ends that ssh wants", async () => {
  const key = made("plain", "-t", "ed25519", "-N", "");
  for (const [name, text] of Object.entries({
    whole: key,
    trimmed: key.trimEnd(),
    windows: key.replaceAll("\n", "\r\n"),
    surrounded: `\n\n${key}\n`,
    indented: key.replaceAll(/^/gm, "    "),
    "blanks at the end": key.replaceAll("\n", " \t\n"),
    "literal \\n": key.replaceAll("\n", "\\n"),
    "literal \\r\\n": key.replaceAll("\n", "\\r\\n"),
    "old Macintosh": key.replaceAll("\n", "\r"),
  })) {
    const path = join(folder, `written-${name}`);
    await writePrivateKey(path, text);
    assert.equal(readFileSync(path, "utf8"), key, name);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await assert.rejects(writePrivateKey(path, text), { code: "EEXIST" });
  }
});

test("a key that other programs read stays byte for byte, and another one becomes so", () => {
  const key = made("portable", "-t", "ed25519", "-N", "");
  for (const text of [key, key.trimEnd(), key.replaceAll("\n", "\r\n"), "the-private-key\n", ""]) {
    assert.equal(portablePrivateKey(text), text);
  }
  for (const text of [
    key.replaceAll("\n", "\\n"),
    key.replaceAll("\n", "\r"),
    key.replaceAll(/^/gm, "  "),
  ]) {
    assert.equal(portablePrivateKey(text), key);
  }
});
