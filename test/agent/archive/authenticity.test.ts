import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { PutBucketVersioningCommand } from "@aws-sdk/client-s3";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { deployKey, manifestKey, verifiedKey } from "../../../storage/catalogue/objectKeys.ts";
import { agent, failure, unavailable, World } from "../world.ts";
import { plant, stampAfter, stampIn } from "./planted.ts";

const newKey = () => randomBytes(32).toString("base64url");
const identity = Buffer.from("17".repeat(32), "hex");

describe("who has written a backup", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  const dir = mkdtempSync(join(tmpdir(), "authenticity-test-"));
  const AGE_IDENTITY_FILE = join(dir, "identity.txt");
  writeFileSync(AGE_IDENTITY_FILE, encodeBech32("age-secret-key-", identity).toUpperCase());
  const AGE = { AGE_RECIPIENTS: formatRecipient(publicKeyOf(identity)) };
  before(async () => {
    world = await World.start();
    // What it holds runs on the server as soon as it is restored.
    await world.database(
      "evil",
      "CREATE TABLE marker AS SELECT 'POISON' AS v",
      `CREATE FUNCTION pwn() RETURNS int LANGUAGE plpgsql AS
         $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''cat > pwned'''; RETURN 1; END $$`,
      "CREATE MATERIALIZED VIEW mv AS SELECT pwn()",
    );
    await world.query("evil", "COPY (SELECT 1) TO PROGRAM 'cat > pwned; rm pwned'");
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await world?.stop();
  });

  type Environment = Record<string, string>;
  const vic = async (name: string, more: Environment): Promise<Environment> => {
    await world.database(name, "CREATE TABLE marker AS SELECT 'true' AS v");
    return { ...(await world.environment(name)), ...more };
  };
  let databases = 0;
  const restored = async (env: Environment, ...args: string[]) => {
    databases += 1;
    const into = `ck_${databases}`;
    const [wanted = "latest", ...options] = args;
    const words = ["restore", wanted, "--into", into, "--json", ...options];
    const outcome = await agent({ ...env, AGE_IDENTITY_FILE }, ...words);
    const event = outcome.events.find((e) => e.event === "restored");
    assert(event?.event === "restored", failure(outcome) || outcome.stderr);
    const markers = (await world.query(into, "SELECT v FROM marker")).map((row) => row["v"]);
    return { markers, from: event.from, stderr: outcome.stderr };
  };
  /** What a restore would take, and what it says of it. */
  const planned = async (env: Environment, ...args: string[]) => {
    const [wanted = "latest", ...options] = args;
    const words = ["restore", wanted, "--into", "never", "--dry-run", "--json", ...options];
    const outcome = await agent({ ...env, AGE_IDENTITY_FILE }, ...words);
    const event = outcome.events.find((e) => e.event === "planned");
    assert(event?.event === "planned", failure(outcome) || outcome.stderr);
    return { from: event.from, stderr: outcome.stderr };
  };
  const refused = async (env: Environment, stamp: string) => {
    const args = ["restore", stamp, "--into", "never", "--json"];
    const outcome = await agent({ ...env, AGE_IDENTITY_FILE }, ...args);
    assert.equal(outcome.code, 1, outcome.stderr);
    assert.ok(!(await world.databases()).includes("never"));
    return failure(outcome);
  };
  const verified = async (env: Environment, wanted: string) => {
    const outcome = await agent({ ...env, AGE_IDENTITY_FILE }, "verify", wanted, "--json");
    const event = outcome.events.find((e) => e.event === "verified");
    assert(event?.event === "verified", failure(outcome) || outcome.stderr);
    return { signature: event.signature, from: event.from, stderr: outcome.stderr };
  };
  const list = async (env: Environment) => (await agent(env, "list")).stdout;
  const wasRun = async () =>
    (await world.query("postgres", "SELECT pg_stat_file('pwned', true) IS NOT NULL AS is"))[0]?.[
      "is"
    ];
  /** Evil's dump, as whoever knows how the backups are encrypted can make it. */
  const poison = async (more: Environment) => {
    const env = { ...(await world.environment("evil")), ...more };
    const outcome = await world.backup(env);
    await world.query("postgres", "COPY (SELECT 1) TO PROGRAM 'cat > pwned; rm pwned'");
    return {
      manifest: outcome,
      dump: await world.read(env["S3_BUCKET"] ?? "", outcome.object.key),
    };
  };
  const bytesOf = (env: Environment, { object }: Manifest) =>
    world.read(env["S3_BUCKET"] ?? "", object.key);

  it("plain: a planted newer one is passed over, and restored only by its time and a word", async () => {
    const env = await vic("planted", { SIGNING_KEYS: newKey() });
    const good = await world.backup(env);
    assert.match(good.mac?.value ?? "", /^[0-9a-f]{64}$/);
    const stamp = stampAfter(good);
    const { manifest, dump } = await poison({});
    const server = { ...manifest.server, systemIdentifier: "4711" };
    await plant(world, env, { stamp, dump, manifest, over: { server } });

    const latest = await restored(env);
    assert.deepEqual(latest.markers, ["true"]);
    assert.equal(`${latest.from}Z`, good.takenAt);
    assert.equal(await wasRun(), false);
    assert.match(latest.stderr, new RegExp(`passed over ${stamp}: its manifest is not signed`));
    assert.doesNotMatch(latest.stderr, /was not checked/);
    assert.match(await list(env), new RegExp(`${stamp}.*unsigned`));
    assert.match(
      await refused(env, stamp),
      /may be somebody else's: its manifest is not signed.*add --accept-origin/,
    );
    const chosen = await restored(env, stamp, "--accept-origin");
    assert.deepEqual(chosen.markers, ["POISON"]);
    assert.match(chosen.stderr, /another server than the one before it: system identifier 4711, /);
    await world.query("postgres", "COPY (SELECT 1) TO PROGRAM 'cat > pwned; rm pwned'");
  });

  it("with a passphrase: a planted newer one that was made with it is passed over, and refused by its time", async () => {
    const PASSPHRASE = "of the stack";
    const env = await vic("by_passphrase", { PASSPHRASE, SIGNING_KEYS: newKey() });
    const good = await world.backup(env);
    const stamp = stampAfter(good);
    await plant(world, env, { stamp, ...(await poison({ PASSPHRASE })) });
    const latest = await planned(env);
    assert.equal(`${latest.from}Z`, good.takenAt);
    assert.match(latest.stderr, new RegExp(`passed over ${stamp}: its manifest is not signed`));
    assert.match(await refused(env, stamp), /its manifest is not signed.*add --accept-origin/);
  });

  it("a signed manifest that was changed, moved to another time, or signed by others is wrongly signed", async () => {
    const env = await vic("changed", { SIGNING_KEYS: newKey() });
    const good = await world.backup(env);
    const dump = await bytesOf(env, good);
    const foreign = await world.backup({ ...env, SIGNING_KEYS: newKey() });
    const rows: [over: Partial<Manifest>, problem: string][] = [
      [{}, "wrongly signed"],
      [{ mac: { ...(good.mac as NonNullable<Manifest["mac"]>), version: 9 } }, "unknown key"],
      [{ mac: { ...(good.mac as NonNullable<Manifest["mac"]>), value: "" } }, "wrongly signed"],
      [foreign.mac ? { mac: foreign.mac } : {}, "unknown key"],
    ];
    const stamps = rows.map((_, index) => stampIn(20 + index));
    for (const [index, [over]] of rows.entries()) {
      await plant(world, env, { stamp: stamps[index] ?? "", dump, manifest: good, over });
    }
    const listed = await list(env);
    for (const [index, [, problem]] of rows.entries()) {
      assert.match(listed, new RegExp(`${stamps[index]}.*${problem}`));
    }
    assert.match(await refused(env, stamps[1] ?? ""), /may be somebody else's/);
    assert.equal(`${(await planned(env)).from}Z`, good.takenAt);
  });

  it("a true one that is put again under a later time is named", async () => {
    const env = await vic("again", { SIGNING_KEYS: newKey(), PASSPHRASE: "of the stack" });
    const first = await world.backup(env);
    const second = await world.backup(env);
    const stamp = stampAfter(second);
    await plant(world, env, { stamp, dump: await bytesOf(env, first), manifest: first });
    const latest = await planned(env);
    assert.equal(`${latest.from}Z`, second.takenAt);
    assert.match(latest.stderr, new RegExp(`passed over ${stamp}`));
    const shown = await agent(env, "list");
    assert.match(
      shown.stderr,
      new RegExp(`${stamp} has the same bytes as that of ${first.takenAt.slice(0, 19)}`),
    );
  });

  it("while the settings encrypt, one in clear is never latest, with no key at all", async () => {
    const env = await vic("clear", {});
    const older = await world.backup(env);
    const encrypting = { ...env, ...AGE };
    const good = await world.backup(encrypting);
    const stamp = stampAfter(good);
    await plant(world, encrypting, { stamp, ...(await poison({})) });
    const latest = await planned(encrypting);
    assert.equal(`${latest.from}Z`, good.takenAt);
    assert.match(latest.stderr, /it is not encrypted, although the settings encrypt/);
    assert.match(latest.stderr, /the origin of the backup was not checked.*SIGNING_KEYS/);
    assert.match(await refused(encrypting, older.takenAt), /not encrypted.*add --accept-origin/);
  });

  it("older unsigned ones count until the first signed one, and then by their time and a word", async () => {
    const unsigned = await vic("upgraded", {});
    const older = await world.backup(unsigned);
    const env: Environment = { ...unsigned, SIGNING_KEYS: newKey() };
    const first = await planned(env);
    assert.equal(`${first.from}Z`, older.takenAt);
    assert.match(first.stderr, /none of this database is signed with a key that is known here/);
    const legacy = `${env["S3_PREFIX"]}/upgraded_2026-01-01T00:00:00.dump`;
    await world.write(env["S3_BUCKET"] ?? "", legacy, "PGDMP");
    const signed = await world.backup(env);
    assert.match(await refused(env, older.takenAt.slice(0, 19)), /not signed.*add --accept-origin/);
    assert.match(await refused(env, "2026-01-01T00:00:00"), /not signed.*add --accept-origin/);
    // Elsewhere, with bucket and identity alone.
    const elsewhere = await planned(unsigned, signed.takenAt.slice(0, 19));
    assert.match(elsewhere.stderr, /the origin of the backup was not checked/);
  });

  it("a new key signs, the one before still checks, and one that was dropped no longer does", async () => {
    const [old, fresh] = [newKey(), newKey()];
    const env = await vic("rotated", { SIGNING_KEYS: old });
    const first = await world.backup(env);
    const rotated = { ...env, SIGNING_KEYS: `${fresh},${old}` };
    const second = await world.backup(rotated);
    assert.notEqual(second.mac?.key, first.mac?.key);
    const stamp = first.takenAt.slice(0, 19);
    assert.doesNotMatch((await planned(rotated, stamp)).stderr, /somebody else|not checked/);
    assert.match(
      await refused({ ...env, SIGNING_KEYS: fresh }, stamp),
      /with a key that is not known/,
    );
    const wrong = await agent({ ...env, SIGNING_KEYS: "secret" }, "list", "--json");
    assert.match(failure(wrong), /^SIGNING_KEYS holds something that is no signing key/);
    assert.doesNotMatch(`${wrong.stdout}${wrong.stderr}`, /secret/);
  });

  it("verify looks at the signature of the backup that was chosen, not of the latest", async () => {
    const unsigned = await vic("verified", {});
    const older = (await world.backup(unsigned)).takenAt.slice(0, 19);
    const env = { ...unsigned, SIGNING_KEYS: newKey() };
    const alone = await verified(env, "latest");
    assert.deepEqual([alone.signature, alone.from], ["unsigned", older]);
    assert.match(alone.stderr, /origin of the backup was not checked, since none of this database/);
    const good = (await world.backup(env)).takenAt.slice(0, 19);
    const latest = await verified(env, "latest");
    assert.deepEqual([latest.signature, latest.from], ["signed", good]);
    assert.doesNotMatch(latest.stderr, /somebody else|not checked/);
    const chosen = await verified(env, older);
    assert.equal(chosen.signature, "unsigned");
    assert.match(chosen.stderr, /may be somebody else's: its manifest is not signed/);
    const elsewhere = await verified(unsigned, good);
    assert.equal(elsewhere.signature, null);
    assert.match(elsewhere.stderr, /was not checked.*SIGNING_KEYS/);
  });

  it("where every manifest was replaced by an unsigned one, none is latest until the next backup", async () => {
    const since = new Date(Date.now() - 60_000).toISOString();
    const env = await vic("all_replaced", { SIGNING_KEYS: newKey(), SIGNING_SINCE: since });
    const good = await world.backup(env);
    const stamp = good.takenAt.slice(0, 19);
    const Bucket = env["S3_BUCKET"] ?? "";
    const key = manifestKey(env["S3_PREFIX"] ?? "", "all_replaced", stamp);
    await world.write(Bucket, key, JSON.stringify({ ...good, mac: undefined }));
    const { manifest, dump } = await poison({});
    const planted = stampAfter(good);
    await plant(world, env, { stamp: planted, dump, manifest });
    const message = /no backup of all_replaced in .* \(2 are unsigned, to be chosen by their time/;
    assert.match(await refused(env, "latest"), message);
    assert.match(await refused(env, stamp), /not signed, though backups here are.*--accept-origin/);
    const next = await world.backup(env);
    assert.equal(`${(await planned(env)).from}Z`, next.takenAt);
  });

  it("only a signed manifest under suspect/ takes a signed backup out of latest", async () => {
    const env = await vic("called_suspect", { SIGNING_KEYS: newKey() });
    const good = await world.backup(env);
    const stamp = good.takenAt.slice(0, 19);
    const key = manifestKey(env["S3_PREFIX"] ?? "", "called_suspect", stamp, "suspect");
    const planted = JSON.stringify({ ...good, suspect: "it is damaged" });
    await world.write(env["S3_BUCKET"] ?? "", key, planted);
    const latest = await planned(env);
    assert.equal(latest.from, stamp);
    assert.match(
      latest.stderr,
      /has no force: it is not signed as the manifest beside the dump is/,
    );
  });

  it("marks that somebody has put beside a backup neither pass the gate before a deploy nor choose what is restored", async () => {
    const env = await vic("marked", { SIGNING_KEYS: newKey() });
    const good = await world.backup(env);
    const [Bucket = "", prefix = ""] = [env["S3_BUCKET"], env["S3_PREFIX"]];
    const stamp = good.takenAt.slice(0, 19);
    await world.write(Bucket, verifiedKey(prefix, "marked", stamp), "{}");
    await world.write(Bucket, deployKey(prefix, "marked", stamp, "v1"), "{}");
    assert.match(
      await list(env),
      new RegExp(
        `${stamp}.*mark of verification not signed, before deploy v1 \\(mark not signed\\)`,
      ),
    );
    const chosen = ["restore", "--before-deploy", "v1", "--into", "never", "--json"];
    const refusal = failure(await agent(env, ...chosen));
    assert.match(refusal, new RegExp(`the mark v1 .*not signed.*give ${stamp} in the place of`));

    const deploy = ["backup", "--before-deploy", "v2", "--max-age", "60"];
    const accepted = await agent(env, ...deploy);
    assert.equal(accepted.code, 0, accepted.stderr);
    assert.match(accepted.stdout, /^Verified .*\n(?:.*\n)*Before the deploy of v2: .*\n/m);
    assert.doesNotMatch((await agent(env, ...deploy)).stdout, /^Verified/m, "its own mark counts");
    assert.match(
      await list(env),
      new RegExp(`${stamp}.*verified, before deploy v2, before deploy v1`),
    );
    const planned = await agent(
      env,
      "restore",
      "--before-deploy",
      "v2",
      "--into",
      "x",
      "--dry-run",
    );
    assert.equal(planned.code, 0, planned.stderr);
  });

  it("of a manifest that was overwritten, the version that is signed is restored, and no other", async () => {
    const env = await vic("replaced", { SIGNING_KEYS: newKey() });
    const Bucket = env["S3_BUCKET"] ?? "";
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await world.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const { mac: _, ...unsigned } = await world.backup(env);
    const only = unsigned.takenAt.slice(0, 19);
    const key = manifestKey(env["S3_PREFIX"] ?? "", "replaced", only);
    const signed = await world.read(Bucket, key);
    await world.write(Bucket, key, JSON.stringify(unsigned));
    assert.match((await restored(env)).stderr, /manifest\.json was overwritten/);
    const read = await verified(env, only);
    assert.equal(read.signature, "signed");
    assert.match(read.stderr, /manifest\.json was overwritten/);
    assert.doesNotMatch(read.stderr, /somebody else/);
    await world.write(Bucket, key, signed);
    const good = await world.backup(env);
    const over = manifestKey(env["S3_PREFIX"] ?? "", "replaced", good.takenAt.slice(0, 19));
    await world.write(Bucket, over, JSON.stringify({ ...good, mac: undefined }));
    assert.match(
      (await planned(env, good.takenAt.slice(0, 19))).stderr,
      /manifest\.json was overwritten\. The version that was written first/,
    );
    const stamp = stampAfter(good);
    const dump = await bytesOf(env, good);
    await plant(world, env, { stamp, dump, manifest: unsigned });
    await world.write(Bucket, manifestKey(env["S3_PREFIX"] ?? "", "replaced", stamp), "x");
    assert.match(await refused(env, stamp), /its manifest cannot be read.*add --accept-origin/);
  });
});
