import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { verifyNew } from "../../../agent/archive/verify.ts";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import { fromEnvironment } from "../../../common/contracts/agentEnvironment/environment.ts";
import { parseAddress } from "../../../storage/address/address.ts";
import { openStore } from "../../../storage/s3/client.ts";
import {
  agent,
  agentFed,
  archiveOf,
  DUMP_SUFFIX,
  failure,
  type Outcome,
  unavailable,
  World,
} from "../world.ts";

const keyOf = (byte: string) => {
  const identity = Buffer.from(byte.repeat(32), "hex");
  const text = encodeBech32("age-secret-key-", identity).toUpperCase();
  return { text, recipient: formatRecipient(publicKeyOf(identity)) };
};
const owner = keyOf("17");
const deputy = keyOf("42");
const stranger = keyOf("55");
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;

describe("an encrypted backup", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  const dir = mkdtempSync(join(tmpdir(), "encrypted-test-"));
  before(async () => {
    world = await World.start();
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await world?.stop();
  });

  const prepare = async (name: string, more: Record<string, string>) => {
    await world.database(
      name,
      "CREATE TABLE t AS SELECT i, md5(i::text) AS text FROM generate_series(1, 5000) i",
    );
    const env: Record<string, string> = { ...(await world.environment(name)), ...more };
    const manifest = await world.backup(env);
    await world.query(name, "DELETE FROM t");
    return { env, manifest, bucket: env["S3_BUCKET"] ?? "" };
  };
  const rows = async (name: string) =>
    (await world.query(name, "SELECT count(*)::int AS n FROM t"))[0]?.["n"];
  const nothingMade = async (name: string) =>
    assert(!(await world.databases()).some((database) => database.startsWith(`${name}_`)));
  const event = (outcome: Outcome, name: string) => outcome.events.find((e) => e.event === name);

  it("for recipients comes back with any one of their keys, and with stock tools", async (t) => {
    const { env, manifest, bucket } = await prepare("for_two", {
      AGE_RECIPIENTS: `${owner.recipient},${deputy.recipient}`,
    });
    assert.equal(manifest.encryption, "age");
    assert.deepEqual(manifest.recipients, [owner.recipient, deputy.recipient]);
    assert.match(manifest.object.key, /\.age$/);
    assert.match(manifest.object.key, DUMP_SUFFIX);

    for (const [fed, sentence] of [
      [undefined, /for an age recipient, and no identity is given/],
      [`${stranger.text}\n`, /the identity is the wrong one/],
      ["\n", /standard input was empty/],
      ["AGE-SECRET-KEY-1NONSENSE\n", /age identity is not valid/],
    ] as const) {
      const outcome =
        fed === undefined
          ? await agent(env, "restore", "--json")
          : await agentFed(env, fed, "restore", "--identity-stdin", "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), sentence);
      assert(!outcome.stdout.includes(stranger.text));
      await nothingMade("for_two");
    }

    const restored = await agentFed(
      env,
      `${deputy.text}\n`,
      "restore",
      "--identity-stdin",
      "--json",
    );
    assert.equal(restored.code, 0, failure(restored));
    assert.equal(await rows("for_two"), 5000);

    if (!has("age")) return t.skip("the age program is not installed");
    writeFileSync(join(dir, "key"), `# a comment\n${owner.text}\n`);
    const sealed = await world.read(bucket, manifest.object.key);
    const packed = execFileSync("age", ["-d", "-i", join(dir, "key")], { input: sealed });
    const archive = archiveOf(manifest, packed);
    await world.query("postgres", "CREATE DATABASE stock_tools");
    const { host, port, user, password } = world.postgres;
    execFileSync(
      "pg_restore",
      ["--exit-on-error", "-h", host, "-p", String(port), "-U", user, "-d", "stock_tools"],
      { input: archive, env: { ...process.env, PGPASSWORD: password } },
    );
    assert.equal(await rows("stock_tools"), 5000);
    const byFile = { ...env, AGE_IDENTITY_FILE: join(dir, "key") };
    const again = await agent(byFile, "verify", "--json");
    assert.equal(again.code, 0, failure(again));
  });

  it("with a passphrase comes back with the same one only", async () => {
    const { env, manifest } = await prepare("by_word", { PASSPHRASE: "correct horse" });
    assert.deepEqual([manifest.encryption, manifest.recipients], ["age", []]);
    for (const [passphrase, sentence] of [
      ["", /encrypted with a passphrase, and none is set/],
      ["wrong horse", /the passphrase is wrong/],
    ] as const) {
      const outcome = await agent({ ...env, PASSPHRASE: passphrase }, "restore", "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), sentence);
      assert(!(outcome.stdout + outcome.stderr).includes("wrong horse"));
      await nothingMade("by_word");
    }
    const changed = { ...env, PASSPHRASE: "another one since" };
    const fed = await agentFed(changed, "correct horse\n", "restore", "--identity-stdin", "--json");
    assert.equal(fed.code, 0, failure(fed));
    assert.equal(await rows("by_word"), 5000);
    const usual = await agent(env, "verify", "--json");
    assert.equal(usual.code, 0, failure(usual));
  });

  it("with a changed byte, anywhere: refused, the live database untouched", async () => {
    const { env, manifest, bucket } = await prepare("flipped", { PASSPHRASE: "correct horse" });
    const original = await world.read(bucket, manifest.object.key);
    for (const place of [0, 0.5, 1]) {
      const bytes = Buffer.from(original);
      const at = Math.floor(place * (bytes.length - 1));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await world.write(bucket, manifest.object.key, bytes);
      for (const command of place === 0.5 ? ["restore", "verify"] : ["verify"]) {
        const outcome = await agent(env, command, "--json");
        assert.equal(outcome.code, 1, `${command} ${place}`);
        assert.match(failure(outcome), /damaged/);
      }
    }
    await nothingMade("flipped");
    assert.deepEqual(
      (await world.keys(bucket)).filter((key) => /verified/.test(key)),
      [],
    );
  });

  it("is verified in full with a secret, and never called verified without", async () => {
    const { env, manifest, bucket } = await prepare("seen", { AGE_RECIPIENTS: owner.recipient });
    const marks = async () =>
      (await world.keys(bucket)).filter((key) => key.endsWith(".verified.json"));

    const blind = await agent(env, "verify", "--json");
    assert.equal(blind.code, 2, failure(blind));
    const stored = event(blind, "verified");
    assert(stored?.event === "verified");
    assert.equal(stored.depth, "stored");
    assert.equal(stored.tables, null);
    assert.match(stored.unchecked ?? "", /only a recipient's private key opens/);
    const text = await agent(env, "verify");
    assert.match(text.stdout, /^Not decrypted:/);
    assert.doesNotMatch(text.stdout, /^Verified/m);
    assert.deepEqual(await marks(), []);

    const seen = await agentFed(env, owner.text, "verify", "latest", "--identity-stdin", "--json");
    assert.equal(seen.code, 0, failure(seen));
    const full = event(seen, "verified");
    assert(full?.event === "verified");
    assert.deepEqual([full.depth, full.tables, full.unchecked], ["full", 1, null]);
    assert.equal((await marks()).length, 1);
    const mark = JSON.parse((await world.read(bucket, (await marks())[0] ?? "")).toString());
    assert.equal(mark.sha256, manifest.object.sha256);
    const twice = await agentFed(env, owner.text, "verify", "--identity-stdin", "--json");
    assert.equal(twice.code, 0, failure(twice));

    const original = await world.read(bucket, manifest.object.key);
    const changed = Buffer.from(original);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await world.write(bucket, manifest.object.key, changed);
    const damaged = await agent(env, "verify", "--json");
    assert.equal(damaged.code, 1);
    assert.match(failure(damaged), /is damaged: its SHA-256 is/);
  });

  it("is verified by the backup itself when that is asked for", async () => {
    const asked = { BACKUP_VERIFY: "true" };
    const full = await prepare("checked", { ...asked, PASSPHRASE: "correct horse" });
    assert((await world.keys(full.bucket)).some((key) => key.endsWith(".verified.json")));
    const stored = await prepare("checked_less", { ...asked, AGE_RECIPIENTS: owner.recipient });
    assert(!(await world.keys(stored.bucket)).some((key) => key.endsWith(".verified.json")));
    const said = await agent(stored.env, "backup", "--accept");
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stderr, /not checked: the content/);
  });

  it("found damaged right after it was stored becomes suspect, and never counts as latest", async () => {
    const { env, manifest, bucket } = await prepare("hurt", { AGE_RECIPIENTS: owner.recipient });
    const bytes = await world.read(bucket, manifest.object.key);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await world.write(bucket, manifest.object.key, bytes);
    const settings = fromEnvironment(env);
    const store = openStore(parseAddress(settings.store), settings.store);
    const report = { event: () => {}, line: () => {}, warn: () => {}, error: () => {} };
    const signal = new AbortController().signal;
    await assert.rejects(verifyNew({ settings, store, report, signal }, manifest), /is damaged/);
    const outcome = await agent(env, "verify", "--json");
    assert.match(failure(outcome), /no backup of hurt in .*are suspect/);
  });

  it("wrong recipients are refused before anything is stored", async () => {
    await world.database("nobody", "CREATE TABLE t (i int)");
    const env = { ...(await world.environment("nobody")), AGE_RECIPIENTS: "age1nonsense" };
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(failure(outcome), /AGE_RECIPIENTS: "age1nonsense" is no age recipient/);
  });

  it("of the old image, by gpg: restored and verified with its passphrase", async (t) => {
    if (!has("gpg")) return t.skip("gpg is not installed");
    const { env, bucket } = await prepare("veteran_gpg", {});
    await world.query("veteran_gpg", "INSERT INTO t VALUES (1, 'x')");
    const { host, port, user, password } = world.postgres;
    const dump = execFileSync(
      "pg_dump",
      ["--format=custom", "-h", host, "-p", String(port), "-U", user, "veteran_gpg"],
      { env: { ...process.env, PGPASSWORD: password } },
    );
    const home = mkdtempSync(join(dir, "gpg-"));
    const sealed = execFileSync(
      "gpg",
      ["--homedir", home, "--symmetric", "--batch", "--passphrase", "old word"],
      { input: dump },
    );
    spawnSync("gpgconf", ["--homedir", home, "--kill", "all"]);
    const stamp = "2026-01-03T03:04:05";
    await world.write(bucket, `shop/production/veteran_gpg_${stamp}.dump.gpg`, sealed);
    for (const [passphrase, sentence] of [
      ["", /encrypted with a passphrase by the old image, and none is set/],
      ["wrong word", /the passphrase is wrong/],
    ] as const) {
      const outcome = await agent({ ...env, PASSPHRASE: passphrase }, "restore", stamp, "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), sentence);
      await nothingMade("veteran_gpg");
    }
    const right = { ...env, PASSPHRASE: "old word" };
    const verified = await agent(right, "verify", stamp, "--json");
    assert.equal(verified.code, 0, failure(verified));
    await world.query("veteran_gpg", "DELETE FROM t");
    const restored = await agent(right, "restore", stamp, "--json");
    assert.equal(restored.code, 0, failure(restored));
    assert.equal(await rows("veteran_gpg"), 1);
    await world.write(
      bucket,
      `shop/production/veteran_gpg_${stamp}.dump.gpg`,
      sealed.subarray(0, -30),
    );
    assert.equal((await agent(right, "verify", stamp, "--json")).code, 1);
  });

  it("leaves no archive in the scratch folder", async () => {
    const { env } = await prepare("scratched", { PASSPHRASE: "correct horse" });
    const scratch = mkdtempSync(join(dir, "scratch-"));
    const outcome = await agent(env, "restore", "--scratch", scratch, "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    assert.equal(await rows("scratched"), 5000);
    assert.deepEqual(readdirSync(scratch), []);
    const missing = await agent(
      { ...env, RESTORE_SCRATCH_DIR: join(dir, "missing") },
      ...["restore", "--json"],
    );
    assert.match(failure(missing), /scratch folder .* cannot be used \(ENOENT\)/);
  });
});
