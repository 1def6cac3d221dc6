import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CopyObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
} from "@aws-sdk/client-s3";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { manifestKeyOf, refused } from "../runtime/watch.ts";
import { agent, failure, unavailable, World } from "../world.ts";

const NOTICE =
  /was stored at \S+Z, later than its manifest \(.*overwritten, or copied from elsewhere/;

describe("a backup that was overwritten", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("vic", "CREATE TABLE t AS SELECT generate_series(1, 200) AS i");
  });
  after(() => world?.stop());

  const backedUp = async ({ versions }: { readonly versions: boolean }) => {
    const env = await world.environment("vic");
    const bucket = env["S3_BUCKET"] ?? "";
    if (versions) {
      const VersioningConfiguration = { Status: "Enabled" } as const;
      await world.s3.send(
        new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }),
      );
    }
    const manifest = await world.backup(env);
    return { env, bucket, manifest, stamp: manifest.takenAt.replace("Z", "") };
  };
  const storedAt = async (Bucket: string, Key: string) =>
    (await world.s3.send(new HeadObjectCommand({ Bucket, Key }))).LastModified?.getTime() ?? 0;
  /** Does it again until the service, whose times are whole seconds, calls the dump later than its manifest. */
  const later = async (bucket: string, manifest: Manifest, work: () => Promise<unknown>) => {
    const before = await storedAt(bucket, manifestKeyOf(manifest));
    do await work();
    while ((await storedAt(bucket, manifest.object.key)) <= before);
  };
  const others = ({ object }: Manifest, more = 0) => Buffer.alloc(object.bytes + more, 7);
  let copies = 0;
  const restored = async (env: Record<string, string>, wanted: string) => {
    copies += 1;
    const name = `vic_copy_${copies}`;
    const outcome = await agent(env, "restore", wanted, "--into", name, "--json");
    assert.equal(outcome.code, 0, failure(outcome) + outcome.stderr);
    const [row] = await world.query(name, "SELECT count(*)::int AS n FROM t");
    assert.deepEqual(row, { n: 200 });
    return outcome;
  };

  for (const [what, more] of [
    ["as many other bytes", 0],
    ["more bytes", 5],
  ] as const) {
    it(`with ${what}: the listing tells, and restore finds the version that was written first`, async () => {
      const { env, bucket, manifest, stamp } = await backedUp({ versions: true });
      const { key } = manifest.object;
      await later(bucket, manifest, () => world.write(bucket, key, others(manifest, more)));
      const listed = await agent(env, "list");
      assert.equal(listed.code, 0, listed.stderr);
      assert.match(listed.stdout, / overwritten/);
      assert.match(listed.stderr, NOTICE);
      const { stderr } = await restored(env, more === 0 ? "latest" : stamp);
      assert.match(
        stderr,
        /was overwritten\. The version that was written first, at \S+Z, is restored/,
      );
      if (more > 0) return;
      const next = await agent(env, "backup", "--json");
      assert.equal(next.code, 0, failure(next));
      assert.match(next.stderr, NOTICE);

      const rights = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"];
      const narrow = { ...env, ...(await world.keyThatMay(bucket, ...rights)) };
      refused(
        world,
        await agent(narrow, "restore", stamp, "--json"),
        /(was|It was) overwritten.*this key may not list them: use one with s3:ListBucketVersions and s3:GetObjectVersion/,
      );
    });
  }

  it("and its manifest stored again after it: the versions tell", async () => {
    const { env, bucket, manifest, stamp } = await backedUp({ versions: true });
    await world.write(bucket, manifest.object.key, others(manifest));
    await world.write(bucket, manifestKeyOf(manifest), JSON.stringify(manifest));
    await restored(env, stamp);
  });

  it("a manifest overwritten with something else: the first one that can be read is taken", async () => {
    const { env, bucket, manifest, stamp } = await backedUp({ versions: true });
    await world.write(bucket, manifestKeyOf(manifest), "x");
    const { stderr } = await restored(env, stamp);
    assert.match(stderr, /manifest\.json was overwritten\. The version that was written first/);
  });

  it("its roles and grants: the first version of them is taken, or the sentence says what is lost", async () => {
    await world.query("postgres", "CREATE ROLE clerk");
    const kept = await backedUp({ versions: true });
    const lost = await backedUp({ versions: false });
    await world.query("postgres", "DROP ROLE clerk");
    const globals = { into: "vic_roles", words: ["--globals", "--yes", "--json"] };
    for (const more of [0, 5]) {
      for (const { bucket, manifest } of [kept, lost]) {
        const { key = "", bytes = 0 } = manifest.globals ?? {};
        await world.write(bucket, key, Buffer.alloc(bytes + more, 7));
      }
      const into = `${globals.into}_${more}`;
      const taken = await agent(kept.env, "restore", "--into", into, ...globals.words);
      assert.equal(taken.code, 0, failure(taken));
      assert.match(
        taken.stderr,
        /globals\S+, the roles and grants, was overwritten\. The version that was written first, at/,
      );
      const made = await world.query("postgres", "SELECT FROM pg_roles WHERE rolname = 'clerk'");
      assert.equal(made.length, 1);
      await world.query("postgres", "DROP ROLE clerk");
      refused(
        world,
        await agent(lost.env, "restore", "--into", "vic_lost", ...globals.words),
        /globals\S+ (is damaged: its SHA-256 is|was overwritten: it has).*None of the 1 versions.*leave out --globals/,
      );
      const rights = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"];
      const narrow = { ...kept.env, ...(await world.keyThatMay(kept.bucket, ...rights)) };
      refused(
        world,
        await agent(narrow, "restore", "--into", "vic_lost", ...globals.words),
        /globals\S+ .*this key may not list them: use one with s3:ListBucketVersions.*leave out --globals/,
      );
    }
    const without = await agent(lost.env, "restore", "--into", "vic_lost", "--yes", "--json");
    assert.equal(without.code, 0, failure(without));
  });

  it("without versions: refused before anything is made, with what is lost", async () => {
    const { env, bucket, manifest, stamp } = await backedUp({ versions: false });
    await later(bucket, manifest, () => world.write(bucket, manifest.object.key, others(manifest)));
    refused(
      world,
      await agent(env, "restore", stamp, "--json"),
      /is damaged: its SHA-256 is .* It was overwritten\. None of the 1 versions.*not touched; choose another/,
    );
    refused(world, await agent(env, "verify", stamp, "--json"), /is damaged: its SHA-256/);
  });

  it("with itself: a remark, and the digest decides", async () => {
    const { env, bucket, manifest } = await backedUp({ versions: false });
    const { key } = manifest.object;
    const copy = { Bucket: bucket, Key: key, CopySource: `${bucket}/${encodeURIComponent(key)}` };
    await later(bucket, manifest, () =>
      world.s3.send(new CopyObjectCommand({ ...copy, MetadataDirective: "REPLACE" })),
    );
    assert.match((await agent(env, "list")).stderr, NOTICE);
    const { stderr } = await restored(env, "latest");
    assert.doesNotMatch(stderr, /written first, at/);
  });
});
