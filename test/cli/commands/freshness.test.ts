import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, type TestContext, test } from "node:test";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import {
  parseSigningKeys,
  type SigningKey,
  signManifest,
} from "../../../common/contracts/manifestMac.ts";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { readerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import type { Store } from "../../../storage/s3/client.ts";
import type { Credentials } from "../../../storage/s3/credentials.ts";
import { makeBucket } from "../../support/bucket.ts";
import { iamUser } from "../../support/iamUser.ts";
import { backupManifest } from "../../support/manifest.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";
import { entryOf, hoursAgo, inspected, outputs, recorded } from "../support/factories.ts";
import { Outside } from "../support/run.ts";

const GONE = { err: "Error: No such container: x\n", code: 1 };
const UNREACHABLE = {
  err: "ssh: connect to host 192.0.2.10 port 2222: Connection timed out\n",
  code: 255,
};
const FROM_BUCKET = /^note: the newest backup was read from the bucket: there is no container/m;

let service: TestStore;
before(async () => {
  service = await startStore();
});
after(() => service.stop());

/** What is in a stack about one bucket: where it is, and the keys that were made for it. */
interface Bucket {
  readonly store: Store;
  readonly location: BackupOutputs["location"];
  readonly writerKeyId: string;
  readonly reader: Credentials;
}

async function makeOne(name: string): Promise<Bucket> {
  const prefix = "shop/production";
  const store = await makeBucket(service, name, prefix);
  const { endpoint } = service;
  const rights = readerPolicy({ bucket: name, prefix });
  const { key: reader } = await iamUser(service, `${name}-reader`, rights);
  return {
    store,
    location: { endpoint, region: "us-east-1", bucket: name, prefix },
    writerKeyId: `WRITER-OF-${name}`,
    reader,
  };
}

async function put(
  { store, location }: Bucket,
  stamp: string,
  database = "shop_production",
  signedBy: readonly SigningKey[] = [],
) {
  const { prefix, bucket } = location;
  const key = dumpKey(prefix, database, stamp, { compression: "zstd", encryption: "none" });
  const manifest = backupManifest({
    database,
    takenAt: `${stamp}Z`,
    object: { key, bytes: 1, sha256: createHash("sha256").update(key).digest("hex") },
  });
  for (const [Key, Body] of [
    [key, "x"],
    [manifestKey(prefix, database, stamp), JSON.stringify(signManifest(manifest, signedBy))],
  ] as const) {
    await store.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  }
}

/** As the state shows a secret. */
const shown = (value: unknown) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  plaintext: JSON.stringify(value),
});

/** As `pulumi stack export --show-secrets` writes it. */
function stateOf(...buckets: Bucket[]): string {
  return stateWith(buckets, []);
}

function stateWith(buckets: readonly Bucket[], others: readonly unknown[]): string {
  const keys = buckets.map(({ writerKeyId, reader }, index) => ({
    urn: `urn:pulumi:production::shop::kamal-postgres-backup:index:BackupKeys::keys-${index}`,
    custom: false,
    type: "kamal-postgres-backup:index:BackupKeys",
    outputs: {
      accessKeyId: writerKeyId,
      secretAccessKey: shown("the writer's own"),
      readerAccessKeyId: reader.accessKeyId,
      readerSecretAccessKey: shown(reader.secretAccessKey),
    },
  }));
  const root = { urn: "urn:x", custom: false, type: "pulumi:pulumi:Stack" };
  return JSON.stringify(
    { version: 3, deployment: { resources: [root, ...keys, ...others] } },
    null,
    4,
  );
}

/** The key of a bucket that was given with it, as the probe that tries it stands in the state. */
function probeOf({ location, writerKeyId, reader }: Bucket, access = "restorable") {
  const { bucket, prefix } = location;
  return {
    urn: "urn:pulumi:production::shop::pulumi-nodejs:dynamic/kamal-postgres-backup:KeyProbe::probe",
    custom: true,
    type: "pulumi-nodejs:dynamic/kamal-postgres-backup:KeyProbe",
    inputs: {
      ...{ bucket, prefix, access, accessKeyId: writerKeyId },
      secretAccessKey: shown(reader.secretAccessKey),
    },
  };
}

/** A bucket that was given with its key, which may read. */
async function givenOne(name: string): Promise<Bucket> {
  const made = await makeOne(name);
  return { ...made, writerKeyId: made.reader.accessKeyId };
}

async function open(t: TestContext, first: Bucket, changes: Partial<BackupOutputs> = {}) {
  const outside = await Outside.open(t);
  const { location, writerKeyId } = first;
  const backup = { ...outputs, location, writerKeyId, ...changes };
  await outside.answer("outputs", { out: JSON.stringify({ backup }) });
  await outside.answer("refresh", { out: await recorded("clean") });
  await outside.answer("state", { out: stateOf(first) });
  return outside;
}

async function document(outside: Outside) {
  return JSON.parse((await outside.run(["drift", "--json"])).stdout);
}

test("drift: while the container is gone, the bucket tells how old the newest backup is", async (t) => {
  const bucket = await makeOne("aged");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  await put(bucket, hoursAgo(31.5));
  const late = await outside.run(["drift"]);
  assert.equal(late.code, 7, late.stderr);
  assert.match(late.stdout, /^data +newest backup +RPO 26 h +31 h old/m);
  assert.match(late.stdout, /^host +192\.0\.2\.10 shop-db_backup +declared running/m);
  assert.match(late.stdout, FROM_BUCKET);
  await put(bucket, hoursAgo(7));
  const young = await outside.run(["drift"]);
  assert.equal(young.code, 7);
  assert.doesNotMatch(young.stdout, /^data/m);
  assert.match(young.stdout, FROM_BUCKET);
  assert.match(young.stdout, /\n1 difference\n$/);
  assert.deepEqual((await document(outside)).seen, { backups: "bucket" });

  await outside.backups(entryOf(hoursAgo(7)));
  const before = (await outside.calls("pulumi")).length;
  assert.deepEqual((await document(outside)).seen, { backups: "container" });
  const asked = (await outside.calls("pulumi")).slice(before).map(([a, b]) => `${a} ${b}`);
  assert.ok(!asked.includes("stack export"), "no secret is asked for without need");
});

test("drift: a container whose own key may not list is no broken check", async (t) => {
  const bucket = await makeOne("append-only");
  const outside = await open(t, bucket);
  await put(bucket, hoursAgo(7));
  const message = "the access key may not do this in shop-backups.";
  await outside.answer("list", { out: [{ event: "error", message }], code: 1 });
  const { stdout, code } = await outside.run(["drift"]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^note: the newest backup was read from the bucket: the access key/);
  assert.match(stdout, /\nno drift\n$/);
});

test("drift: the copies are read from their own bucket, with its own key", async (t) => {
  const [first, second] = [await makeOne("here"), await makeOne("there")];
  const { location, writerKeyId } = second;
  const outside = await open(t, first, { copy: { location, writerKeyId, rpoHours: 30 } });
  await outside.answer("list", GONE);
  await outside.answer("state", { out: stateOf(second, first) });
  await put(first, hoursAgo(7));
  await put(second, hoursAgo(31.5));
  const { stdout } = await outside.run(["drift"]);
  assert.match(stdout, /^data +newest copy +RPO 30 h +31 h old/m);
  assert.match(stdout, /^note: the newest copy was read from the bucket/m);
  assert.match(stdout, /\n2 differences\n$/);
  // The copies' bucket is the user's: no key for reading it was made.
  await outside.answer("state", { out: stateOf(first) });
  const { seen, notes } = await document(outside);
  assert.deepEqual(seen, { backups: "bucket", copies: null });
  assert.match(
    notes[1],
    /^the age of the newest copy could not be judged: there is no container.*The bucket could not be asked either: the stack.s state holds no key/,
  );
});

test("drift: every database of a server that is out of sight is read from the bucket", async (t) => {
  const bucket = await makeOne("every");
  const outside = await open(t, bucket, { database: "", databases: "all" });
  await outside.answer("databases", GONE);
  const none = await outside.run(["drift"]);
  assert.match(none.stdout, /^data +newest backup +RPO 26 h +none/m);
  await put(bucket, hoursAgo(7), "shop");
  await put(bucket, hoursAgo(50), "blog");
  const { stdout } = await outside.run(["drift"]);
  assert.match(stdout, /^data +newest backup of blog +RPO 26 h +50 h old/m);
  assert.doesNotMatch(stdout, /newest backup of shop/);
  assert.match(
    stdout,
    /of each database was read from the bucket, without knowing which .* now: there is no/,
  );

  const message = "POSTGRES_HOST db cannot be reached.";
  await outside.answer("databases", { code: 1, out: [{ event: "error", message }] });
  const broken = await outside.run(["drift"]);
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /POSTGRES_HOST db cannot be reached/);
});

test("drift: a bucket that cannot be asked is said, and no secret with it", async (t) => {
  const bucket = await makeOne("shut");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  const wrong = { ...bucket, reader: { ...bucket.reader, secretAccessKey: "not-the-secret" } };
  const rows = [
    [{ out: stateOf(wrong) }, /either: cannot list the backups of shop_production: .*signature/],
    [
      { err: "error: incorrect passphrase\n", code: 255 },
      /either: pulumi stack export .*incorrect/,
    ],
    [{ out: "[]" }, /either: this version of Pulumi writes a state/],
    [{ out: "not-the-secret" }, /either: pulumi stack export in \S+ did not print JSON\./],
  ] as const;
  for (const [answer, sentence] of rows) {
    await outside.answer("state", answer);
    const { stdout, stderr, code } = await outside.run(["drift", "--debug"]);
    assert.equal(code, 7, stderr);
    assert.match(stdout, sentence);
    assert.match(stdout, /^host +192\.0\.2\.10 shop-db_backup +declared running/m);
    assert.ok(!(stdout + stderr).includes("not-the-secret"));
  }
});

test("status: while the container does not run, the bucket tells the age", async (t) => {
  const [first, second] = [await makeOne("stopped"), await makeOne("stopped-copy")];
  const { location, writerKeyId } = second;
  const outside = await open(t, first, { copy: { location, writerKeyId, rpoHours: 30 } });
  await outside.answer("state", { out: stateOf(first, second) });
  await outside.answer("inspect", { ...GONE, out: "\n" });
  await put(first, hoursAgo(7));
  const { stdout, code } = await outside.run(["status"]);
  assert.equal(code, 7);
  const exports = (await outside.calls("pulumi")).filter(([, word]) => word === "export");
  assert.equal(exports.length, 1, "both places are read with one look into the state");
  assert.match(stdout, /newest backup +\S+ \S+ UTC, 1 bytes, read from the bucket\n/);
  assert.match(stdout, /verdict +newest backup 7 h old, RPO 26 h: ok\n/);
  assert.match(stdout, /verdict on copy +no complete backup, RPO 30 h: missed\n/);
  const { seen, withinRpo, copy } = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.deepEqual([seen, withinRpo], ["bucket", true]);
  assert.equal(copy.databases[0].withinRpo, false);
});

test("status: the bucket tells too where the container's key may only add", async (t) => {
  const bucket = await makeOne("only-added");
  const outside = await open(t, bucket);
  await put(bucket, hoursAgo(31.5));
  await outside.answer("inspect", { out: inspected() });
  const message = "the access key may not do this in shop-backups.";
  await outside.answer("list", { out: [{ event: "error", message }], code: 1 });
  const { stdout, code } = await outside.run(["status"]);
  assert.equal(code, 7);
  assert.match(stdout, /verdict {9}newest backup 31 h old, RPO 26 h: missed\n/);
  assert.match(stdout, /agent +lists no backups: the access key may not do this/);
  const seen = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.deepEqual([seen.seen, seen.agentError, seen.error], ["bucket", message, undefined]);
  await outside.answer("state", { out: stateOf() });
  const blind = await outside.run(["status"]);
  assert.equal(blind.code, 1);
  assert.match(blind.stderr, /may not do this.* The bucket could not be asked either: the stack/);
  assert.match(blind.stdout, /state +running for 3 d\n/);
  assert.match(blind.stdout, /verdict +Not known: the access key may not do this/);
  const document = JSON.parse((await outside.run(["status", "--json"])).stdout);
  assert.deepEqual([document.container.running, document.withinRpo], [true, null]);
  assert.match(document.error, /^the access key may not do this .*either: the stack/);
});

test("list: while the container is gone, what lies in the bucket", async (t) => {
  const bucket = await makeOne("listed");
  const outside = await open(t, bucket);
  await put(bucket, hoursAgo(7));
  await put(bucket, hoursAgo(31.5));
  await outside.answer("list", GONE);
  const { stdout, stderr, code } = await outside.run(["list"]);
  assert.equal(code, 7, stderr);
  assert.match(stdout, /newest backup 7 h old, RPO 26 h: ok\n/);
  assert.equal(stdout.match(/complete/g)?.length, 2);
  assert.match(stderr, /^read from the bucket: there is no container/);
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.deepEqual([json.seen, json.backups.length], ["bucket", 2]);
});

test("status: while the host cannot be reached, the bucket tells the age and the exit code is a failure's", async (t) => {
  const [first, second] = [await makeOne("far"), await makeOne("far-copy")];
  const { location, writerKeyId } = second;
  const outside = await open(t, first, { copy: { location, writerKeyId, rpoHours: 30 } });
  await outside.answer("state", { out: stateOf(first, second) });
  await outside.answer("inspect", UNREACHABLE);
  await put(first, hoursAgo(7));
  const { stdout, stderr, code } = await outside.run(["status"]);
  assert.equal(code, 1);
  assert.match(stdout, /state +not known\n/);
  assert.match(stdout, /newest backup +\S+ \S+ UTC, 1 bytes, read from the bucket\n/);
  assert.match(stdout, /verdict +newest backup 7 h old, RPO 26 h: ok\n/);
  assert.match(stdout, /verdict on copy +no complete backup, RPO 30 h: missed\n/);
  assert.match(stderr, /^error: ssh deploy@192\.0\.2\.10:2222: the host cannot be reached.*\n$/);
  const calls = await outside.calls("ssh");
  assert.equal(calls.length, 1, "a host that was not reached is not asked again");

  const json = await outside.run(["status", "--json"]);
  assert.equal(json.code, 1);
  const document = JSON.parse(json.stdout);
  assert.deepEqual([document.seen, document.withinRpo], ["bucket", true]);
  assert.equal(document.container.status, "unknown");
  assert.match(document.error, /^ssh deploy@192\.0\.2\.10:2222: the host cannot be reached/);
});

test('drift: a clean refresh is not "no drift" where nobody can ask the container', async (t) => {
  const bucket = await makeOne("drift-far");
  const outside = await open(t, bucket);
  await put(bucket, hoursAgo(7));
  const rows = [
    [UNREACHABLE, /^error: the check could not be made: ssh .*the host cannot be reached/],
    [
      { err: "bash: docker: command not found\n", code: 127 },
      /^error: the check could not be made: docker is not on the PATH/,
    ],
  ] as const;
  for (const [answer, sentence] of rows) {
    await outside.answer("list", answer);
    const { code, stdout, stderr } = await outside.run(["drift"]);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, sentence);
    assert.match(stderr, /The bucket itself says: .*newest backup 7 h old, RPO 26 h: ok\.\n$/);
  }
  await outside.answer("list", GONE);
  assert.equal((await outside.run(["drift"])).code, 7, "that is drift, and not a check that broke");
});

test("every database while the host cannot be reached: the bucket says which there are", async (t) => {
  const bucket = await makeOne("every-far");
  const outside = await open(t, bucket, { database: "", databases: "all" });
  for (const what of ["databases", "inspect"] as const) await outside.answer(what, UNREACHABLE);
  await put(bucket, hoursAgo(7), "shop");
  await put(bucket, hoursAgo(50), "blog");
  const late = await outside.run(["drift"]);
  assert.equal(late.code, 7, late.stderr);
  assert.match(late.stdout, /^data +newest backup of blog +RPO 26 h +50 h old/m);
  assert.doesNotMatch(late.stdout, /newest backup of shop/);
  assert.match(
    late.stdout,
    /^note: the newest backup of each database was read from the bucket.*: ssh deploy@.* cannot be reached/m,
  );

  const status = await outside.run(["status"]);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /^every database {3}s3:/);
  assert.match(status.stdout, /verdict of blog +newest backup 50 h old, RPO 26 h: missed\n/);
  assert.match(status.stdout, /verdict of shop +newest backup 7 h old, RPO 26 h: ok\n/);

  const list = await outside.run(["list"]);
  assert.equal(list.code, 1);
  assert.match(list.stderr, /in the bucket blog, shop\. .*Choose one with --database/s);
  const shop = await outside.run(["list", "--database", "shop"]);
  assert.equal(shop.code, 0);
  assert.match(shop.stdout, /^shop .*newest backup 7 h old, RPO 26 h: ok/);
});

const [MADE, EARLIER] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64url")) as [
  string,
  string,
];

/** The key of the backup `shop`, as the state shows it. */
function signingKeyOf(parent: string, made: readonly string[], given: readonly string[] = []) {
  return {
    urn: `${parent}$pulumi-nodejs:dynamic/kamal-postgres-backup:SigningKey::shop-signing-key`,
    custom: true,
    type: "pulumi-nodejs:dynamic/kamal-postgres-backup:SigningKey",
    parent,
    outputs: { made: shown(made), given: shown(given), since: `${hoursAgo(100)}Z` },
  };
}
const PARENT = "urn:pulumi:production::shop::kamal-postgres-backup:index:PostgresBackup::";

test("a planted newer backup is shown for what it is, and keeps neither drift nor status green", async (t) => {
  const bucket = await makeOne("planted");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  await outside.answer("inspect", { ...GONE, out: "\n" });
  const state = stateWith(
    [bucket],
    [
      signingKeyOf(`${PARENT}blog`, [EARLIER]),
      signingKeyOf(`${PARENT}${outputs.name}`, [MADE], [EARLIER]),
    ],
  );
  await outside.answer("state", { out: state });
  await put(bucket, hoursAgo(40), "shop_production", parseSigningKeys(EARLIER, "k"));
  await put(bucket, hoursAgo(31.5), "shop_production", parseSigningKeys(MADE, "k"));
  await put(bucket, hoursAgo(1));

  const drift = await outside.run(["drift"]);
  assert.equal(drift.code, 7, drift.stderr);
  assert.match(drift.stdout, /^data +newest backup +RPO 26 h +31 h old/m);
  const status = await outside.run(["status"]);
  assert.match(status.stdout, /verdict +newest backup 31 h old, RPO 26 h: missed\n/);
  const list = await outside.run(["list", "--json"]);
  const { backups, newest, withinRpo } = JSON.parse(list.stdout);
  assert.deepEqual(
    backups.map((one: { state: string }) => one.state),
    ["unsigned", "complete", "complete"],
  );
  assert.equal(newest.stamp, backups[1].stamp);
  assert.equal(withinRpo, false);
  for (const { stdout, stderr } of [drift, status, list]) {
    assert.doesNotMatch(stdout + stderr, new RegExp(`${MADE}|${EARLIER}`));
  }
});

test("where everything was replaced since signing began, no backup counts, and that is said", async (t) => {
  const bucket = await makeOne("replaced");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  const signing = signingKeyOf(`${PARENT}${outputs.name}`, [MADE]);
  await outside.answer("state", { out: stateWith([bucket], [signing]) });
  await put(bucket, hoursAgo(7), "shop_production", parseSigningKeys(EARLIER, "k"));
  await put(bucket, hoursAgo(1));
  const { stdout, code } = await outside.run(["list"]);
  assert.equal(code, 7);
  assert.match(stdout, /no backup counts; of .* its manifest is not signed.*RPO 26 h: missed\n/);
  assert.match(stdout, /signed with an unknown key/);
  const drift = await outside.run(["drift"]);
  assert.match(drift.stdout, /^data +newest backup +RPO 26 h +no backup counts; of /m);
});

test("list: a manifest above 16 MiB is not read, and hides no other", async (t) => {
  const bucket = await makeOne("bounded");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  const [large, good] = [hoursAgo(1), hoursAgo(2)];
  await put(bucket, good);
  await put(bucket, large);
  const { prefix, bucket: Bucket } = bucket.location;
  const Key = manifestKey(prefix, "shop_production", large);
  await bucket.store.client.send(
    new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(17 * 1024 * 1024, " ") }),
  );
  const { code, stdout, stderr } = await outside.run(["list"]);
  // There is no container.
  assert.equal(code, 7, stderr);
  assert.match(stderr, /manifest\.json has 18 MB, so it was not read/);
  assert.match(stdout, new RegExp(`${good.slice(11, 16)}`));
});

test("while no container that signs could be booted, backups without a signature count as before", async (t) => {
  const bucket = await makeOne("not-begun");
  const outside = await open(t, bucket);
  await outside.answer("list", GONE);
  const signing = signingKeyOf(`${PARENT}${outputs.name}`, [MADE]);
  const booted = (container: string, ...secretNames: string[]) => ({
    urn: `${PARENT}shop$x::${container}`,
    type: "pulumi-nodejs:dynamic/kamal-postgres-backup:AccessoryState",
    inputs: { container, secretNames, target: shown({ host: "192.0.2.10" }) },
  });
  const before = booted(outputs.container, "S3_SECRET_ACCESS_KEY");
  const other = booted("blog-db_backup", "SIGNING_KEYS");
  await put(bucket, hoursAgo(1));
  await outside.answer("state", { out: stateWith([bucket], [signing, before, other]) });
  const failing = await outside.run(["list"]);
  assert.match(failing.stdout, /newest backup 1 h old, RPO 26 h: ok/);
  for (const begun of [[signing], [signing, before, booted(outputs.container, "SIGNING_KEYS")]]) {
    await outside.answer("state", { out: stateWith([bucket], begun) });
    assert.match((await outside.run(["list"])).stdout, /no backup counts; of /);
  }
});

test("of a stack that encrypts, a backup in clear does not count, with no key that signs", async (t) => {
  const bucket = await makeOne("in-clear");
  const outside = await open(t, bucket, { encrypts: true });
  await outside.answer("list", GONE);
  await put(bucket, hoursAgo(1));
  const { stdout } = await outside.run(["list"]);
  assert.match(stdout, /no backup counts; of .* it is not encrypted.*RPO 26 h: missed\n/);
  assert.match(stdout, /in clear/);
});

test("a bucket that was given with its key is read with that while the host is away", async (t) => {
  const [bucket, other] = [await givenOne("given"), await givenOne("given-other")];
  const outside = await open(t, bucket);
  const probes = stateWith([], [probeOf(other), probeOf(bucket)]);
  await outside.answer("state", { out: probes });
  for (const what of ["list", "inspect"] as const) await outside.answer(what, UNREACHABLE);
  await put(bucket, hoursAgo(7));
  const list = await outside.run(["list"]);
  assert.match(list.stdout, /newest backup 7 h old, RPO 26 h: ok\n/);
  assert.match(list.stderr, /^read from the bucket: ssh .* cannot be reached/);
  assert.equal(list.code, 0);
  const status = await outside.run(["status"]);
  assert.match(status.stdout, /verdict +newest backup 7 h old, RPO 26 h: ok\n/);
  assert.equal(status.code, 1, "the host is part of the question");

  await outside.answer("state", { out: stateWith([], [probeOf(bucket, "append-only")]) });
  const blind = await outside.run(["list"]);
  assert.equal(blind.code, 1);
  assert.match(blind.stderr, /either: the key that the program was given may only add, and/);
  await outside.answer("state", { out: stateWith([], [probeOf(other)]) });
  const none = await outside.run(["list"]);
  assert.match(none.stderr, /either: the stack's state holds no key for it\.\n$/);
});

test("restore --dry-run shows what it would restore while the host is away, and that no server was tried", async (t) => {
  const bucket = await makeOne("dry");
  const outside = await open(t, bucket);
  const stamp = hoursAgo(7);
  await put(bucket, stamp);
  for (const answer of [UNREACHABLE, GONE]) {
    await outside.answer("list", answer);
    const { code, stdout, stderr } = await outside.run(["restore", "--dry-run"]);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^Restore shop_production on 192\.0\.2\.10 from \S+ \S+ UTC \(1 bytes/);
    assert.doesNotMatch(stdout, /every check has passed/);
    assert.match(stderr, /^error: only the bucket could be looked into, where this backup lies: /);
  }
  const json = JSON.parse((await outside.run(["restore", "--dry-run", "--json"])).stdout);
  assert.deepEqual([json.seen, json.dryRun, json.from], ["bucket", true, stamp]);
  const real = await outside.run(["restore", "--yes"]);
  assert.equal(real.code, 1);
  assert.match(real.stderr, /^error: there is no container/);
});
