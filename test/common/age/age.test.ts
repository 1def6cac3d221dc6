import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Encryption, makeHeader, parseHeader, unlock } from "../../../common/age/header.ts";
import {
  formatRecipient,
  parseIdentity,
  parseRecipient,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import type { AgeSecrets } from "../../../common/age/stanzas.ts";
import { checkFraming, decryptStream, encryptStream } from "../../../common/age/stream.ts";

const dir = mkdtempSync(join(tmpdir(), "age-test-"));
after(() => rmSync(dir, { recursive: true }));

const SIZES = [0, 1, 65535, 65536, 65537, 131072, 1_000_000];
const age = spawnSync("age", ["--version"]).error === undefined;
const without = age ? false : "the age program is not installed (Debian: apt-get install age)";

/** A pair of the test's own; the identity is any 32 bytes. */
const identity = Buffer.from("17".repeat(32), "hex");
const other = Buffer.from("42".repeat(32), "hex");
const recipient = formatRecipient(publicKeyOf(identity));
const nobody: AgeSecrets = { identities: [] };
const owner: AgeSecrets = { identities: [other, identity] };

/** Pieces of odd lengths, as a pipe delivers them. */
async function* pieces(bytes: Buffer, most = 30_001): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(Math.random() * most);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function encrypt(plain: Buffer, encryption: Encryption): Promise<Buffer> {
  const { header, payloadKey } = await makeHeader(encryption);
  const out: Buffer[] = [];
  // Copied, as the part buffers copy: what is yielded is taken back.
  for await (const piece of encryptStream(pieces(plain), header, payloadKey))
    out.push(Buffer.from(piece));
  return Buffer.concat(out);
}

async function decrypt(encrypted: Buffer, secrets: AgeSecrets): Promise<Buffer> {
  const header = parseHeader(encrypted);
  assert(header !== undefined, "the header is cut off");
  const key = await unlock(header, secrets);
  const out: Buffer[] = [];
  for await (const piece of decryptStream(pieces(encrypted), header.bytes, key)) out.push(piece);
  return Buffer.concat(out);
}

/** Runs age on a terminal of its own, from which alone it takes a passphrase. */
function ageOnTerminal(command: string, typed: string): void {
  const { status, stdout } = spawnSync("script", ["-qec", command, "/dev/null"], {
    cwd: dir,
    input: typed,
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
}

describe("age files", () => {
  it("of our own come back, by recipient and by passphrase", async () => {
    for (const size of SIZES) {
      const plain = randomBytes(size);
      const encrypted = await encrypt(plain, { recipients: [recipient] });
      assert.deepEqual(await decrypt(encrypted, owner), plain, `${size} bytes`);
      assert.equal(checkFraming(encrypted.subarray(0, 4096), encrypted.length), 1);
    }
    const plain = randomBytes(70_000);
    const encrypted = await encrypt(plain, { passphrase: "correct horse" });
    assert.deepEqual(
      await decrypt(encrypted, { identities: [], passphrase: "correct horse" }),
      plain,
    );
  });

  it("that are made here are read by age", { skip: without }, async () => {
    const pairs = ["one", "two"].map((name) => {
      execFileSync("age-keygen", ["-o", join(dir, name)], { stdio: "ignore" });
      const [secret] = /AGE-SECRET-KEY-\S+/.exec(readFileSync(join(dir, name), "utf8")) ?? [];
      return formatRecipient(publicKeyOf(parseIdentity(secret ?? "")));
    });
    for (const size of SIZES) {
      const plain = randomBytes(size);
      const encrypted = await encrypt(plain, { recipients: pairs });
      for (const name of ["one", "two"]) {
        const read = execFileSync("age", ["-d", "-i", join(dir, name)], { input: encrypted });
        assert.deepEqual(read, plain, `${size} bytes, identity ${name}`);
      }
    }
    const plain = randomBytes(131_073);
    writeFileSync(join(dir, "ours.age"), await encrypt(plain, { passphrase: "correct horse" }));
    ageOnTerminal("age -d -o ours ours.age", "correct horse\n");
    assert.deepEqual(readFileSync(join(dir, "ours")), plain);
  });

  it("of age are read by us", { skip: without }, async () => {
    const second = formatRecipient(publicKeyOf(other));
    for (const size of SIZES) {
      const plain = randomBytes(size);
      const encrypted = execFileSync("age", ["-r", second, "-r", recipient], { input: plain });
      assert.deepEqual(
        await decrypt(encrypted, { identities: [identity] }),
        plain,
        `${size} bytes`,
      );
      assert.equal(checkFraming(encrypted.subarray(0, 4096), encrypted.length), 2);
    }
    const plain = randomBytes(65_536);
    writeFileSync(join(dir, "plain"), plain);
    ageOnTerminal("age -p -o theirs.age plain", "correct horse\ncorrect horse\n");
    const encrypted = readFileSync(join(dir, "theirs.age"));
    assert.deepEqual(
      await decrypt(encrypted, { identities: [], passphrase: "correct horse" }),
      plain,
    );
  });

  it("that were changed or cut, anywhere, give nothing unchecked", async () => {
    const plain = randomBytes(200_000);
    const encrypted = await encrypt(plain, { recipients: [recipient] });
    const head = parseHeader(encrypted)?.bytes ?? 0;
    for (const at of [0, 30, head - 20, head - 1, head, head + 65_552, encrypted.length - 1]) {
      const changed = Buffer.from(encrypted);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await assert.rejects(decrypt(changed, owner), { name: "Problem" }, `byte ${at}`);
    }
    for (const length of [head, head + 15, head + 16, head + 100, head + 65_552, head + 131_104]) {
      const cut = encrypted.subarray(0, length);
      await assert.rejects(decrypt(cut, owner), /damaged/, `cut to ${length}`);
    }
    const seen: Buffer[] = [];
    const changed = Buffer.from(encrypted);
    changed[head + 70_000] = (changed[head + 70_000] ?? 0) ^ 1;
    const header = parseHeader(changed);
    assert(header !== undefined);
    const key = await unlock(header, owner);
    await assert.rejects(async () => {
      for await (const piece of decryptStream(pieces(changed), header.bytes, key)) seen.push(piece);
    }, /its 64 KiB chunk number 2 was changed/);
    assert.deepEqual(Buffer.concat(seen), plain.subarray(0, 65_536));
  });

  it("that lost whole chunks at the end, or gained bytes, are refused", async () => {
    const plain = randomBytes(131_072);
    const encrypted = await encrypt(plain, { recipients: [recipient] });
    await assert.rejects(
      decrypt(encrypted.subarray(0, -65_552), owner),
      /chunk number 1 .*cut off/,
    );
    await assert.rejects(decrypt(Buffer.concat([encrypted, Buffer.alloc(40)]), owner), /damaged/);
    assert.throws(() => checkFraming(encrypted, encrypted.length - 65_540), /is cut off/);
    assert.throws(() => checkFraming(encrypted.subarray(0, 50), 50), /within its header/);
  });

  it("say which secret is missing or wrong", async () => {
    const plain = Buffer.from("data");
    const forOne = await encrypt(plain, { recipients: [recipient] });
    await assert.rejects(decrypt(forOne, nobody), /no identity is given.*--identity FILE/);
    await assert.rejects(decrypt(forOne, { identities: [other] }), /identity is the wrong one/);
    const byWord = await encrypt(plain, { passphrase: "right" });
    await assert.rejects(decrypt(byWord, nobody), /encrypted with a passphrase, and none is set/);
    await assert.rejects(
      decrypt(byWord, { identities: [], passphrase: "wrong" }),
      (error: Error) =>
        /the passphrase is wrong/.test(error.message) && !/"wrong"/.test(error.message),
    );
  });

  it("with a hostile work factor, or a key beside the passphrase, are refused at once", async () => {
    const encrypted = await encrypt(Buffer.from("data"), { passphrase: "right" });
    const secrets = { identities: [], passphrase: "right" };
    const text = encrypted.toString("latin1");
    const hostile = Buffer.from(text.replace(/^(-> scrypt \S+) \d+$/m, "$1 30"), "latin1");
    const started = performance.now();
    await assert.rejects(decrypt(hostile, secrets), /has work factor 30/);
    // The work itself would take half an hour.
    assert(performance.now() - started < 120_000);
    const stanza = /-> scrypt[^>]*?(?=\n---)/.exec(text)?.[0] ?? "";
    const doubled = Buffer.from(text.replace(stanza, `${stanza}\n${stanza}`), "latin1");
    await assert.rejects(decrypt(doubled, secrets), /mixes a passphrase/);
  });

  it("are made in flat memory", async () => {
    const { header, payloadKey } = await makeHeader({ recipients: [recipient] });
    const piece = Buffer.alloc(65_536, 7);
    const source = async function* () {
      for (let i = 0; i < 6400; i += 1) yield piece;
    };
    let [early, peak, count] = [0, 0, 0];
    for await (const _ of encryptStream(source(), header, payloadKey)) {
      count += 1;
      if (count % 200 !== 0) continue;
      const held = process.memoryUsage().arrayBuffers;
      if (count === 200) early = held;
      peak = Math.max(peak, held);
    }
    assert(peak - early < 8 * 2 ** 20, `${(peak - early) / 2 ** 20} MiB more`);
  });
});

describe("age keys", () => {
  it("are read as age writes them", () => {
    assert.equal(formatRecipient(parseRecipient(recipient)), recipient);
    assert.deepEqual(parseRecipient(recipient), publicKeyOf(identity));
  });

  it("that are wrong are refused, and a private key is never repeated", () => {
    const changed = `${recipient.slice(0, -1)}${recipient.endsWith("q") ? "p" : "q"}`;
    const mixed = `${recipient.slice(0, -1)}${recipient.slice(-1).toUpperCase()}`;
    for (const text of ["", "age1", "age1abc", changed, mixed, `${recipient} `, ` ${recipient}`]) {
      assert.throws(() => parseRecipient(text), /is no age recipient/, text);
    }
    assert.throws(() => parseRecipient("ssh-ed25519 AAAA"), /of another kind/);
    assert.throws(() => parseRecipient("age1yubikey1qqq"), /of another kind/);
    const secret = "AGE-SECRET-KEY-1QQQQ";
    assert.throws(
      () => parseRecipient(secret),
      (error: Error) =>
        /Treat that one as leaked/.test(error.message) && !error.message.includes("QQQQ"),
    );
    assert.throws(() => parseIdentity(secret), /identity is not valid/);
  });
});
