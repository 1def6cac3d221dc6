import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { failure, type Outcome, outcomeOf, startAgent, unavailable, World } from "../world.ts";

/** A request by its method and a part of its path, and which one of them. */
type Request = readonly [method: string, path: RegExp, nth: number];

const STOPPED = /^stopped by SIGTERM before it was complete; nothing was stored or changed/;

describe("SIGTERM while the service holds back an answer", {
  skip: unavailable,
  timeout: 300_000,
}, () => {
  let world: World;
  let env: Record<string, string>;
  let bucket: string;
  let atFirst: { readonly keys: readonly string[]; readonly databases: readonly string[] };
  const scratch = mkdtempSync(join(tmpdir(), "held-back-"));
  before(async () => {
    world = await World.start();
    await world.database("tiny", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    env = await world.environment("tiny");
    bucket = env["S3_BUCKET"] ?? "";
    await world.backup(env);
    atFirst = { keys: await backups(), databases: await world.databases() };
  });
  after(async () => {
    await world?.stop();
    rmSync(scratch, { recursive: true });
  });

  /** Records of restores say what was tried. */
  const backups = async () =>
    (await world.keys(bucket)).filter((key) => !key.includes("/restores/"));

  /** Stops a run at the moment when it asks for this. @param held what becomes of the request; it is never answered without */
  async function stoppedAt(
    [method, path, nth]: Request,
    args: readonly string[],
    held: (path: string) => Fate | Promise<Fate> = () => "stall",
    watch: (method: string, path: string) => void = () => {},
  ): Promise<Outcome> {
    let seen = 0;
    const relay = await startRelay(world.store.endpoint, (m, p) => {
      watch(m, p);
      if (m === method && path.test(p)) seen += 1;
      else return "pass";
      if (seen !== nth) return "pass";
      child.kill("SIGTERM");
      return held(p);
    });
    const child = startAgent({ ...env, S3_ENDPOINT: relay.endpoint }, ...args, "--json");
    try {
      const outcome = await outcomeOf(child);
      assert.ok(seen >= nth, `${method} ${path} was asked ${seen} times`);
      return outcome;
    } finally {
      await relay.stop();
    }
  }

  const nothingIsLeft = async () => {
    assert.deepEqual(await backups(), atFirst.keys);
    assert.deepEqual(await world.databases(), atFirst.databases);
    assert.deepEqual(readdirSync(scratch), []);
    assert.equal(await world.unfinishedUploads(bucket), 0);
  };

  const LIST: Request = ["GET", /list-type/, 1];
  const MANIFEST: Request = ["GET", /\.manifest\.json/, 1];
  const VERSIONS: Request = ["GET", /versions/, 1];
  const dump = (nth: number): Request => ["GET", /\.(pgdump|dump\.zst)\?x-id=GetObject/, nth];
  const RESTORE = ["restore", "latest", "--into", "beside"];
  const ROWS: readonly [what: string, args: readonly string[], requests: readonly Request[]][] = [
    ["a backup", ["backup"], [LIST, MANIFEST, ["POST", /uploads=/, 1]]],
    // Its contents are looked at twice before the database is made.
    ["a restore", RESTORE, [LIST, MANIFEST, VERSIONS, dump(1), dump(3)]],
    ["a restore through a folder", [...RESTORE, "--scratch", scratch], [dump(3)]],
    ["verify", ["verify"], [LIST, dump(1)]],
  ];
  for (const [what, args, requests] of ROWS) {
    it(`${what}: it ends with the sentence, and nothing is left`, async () => {
      for (const request of requests) {
        const started = performance.now();
        const outcome = await stoppedAt(request, args);
        assert.equal(outcome.code, 143, `${request}: ${outcome.stderr}`);
        assert.match(failure(outcome), STOPPED, String(request));
        assert.ok(performance.now() - started < 60_000);
        await nothingIsLeft();
      }
    });
  }

  /** Stops a backup while its roles are being stored, which come to their end behind that of the dump. */
  const stoppedAtRoles = () => {
    const dropped = Promise.withResolvers<void>();
    return stoppedAt(
      ["HEAD", /\.globals\.sql/, 1],
      ["backup"],
      () => dropped.promise.then(() => "pass"),
      // The dump's own upload was given up.
      (method, path) => {
        if (method === "DELETE" && /\.(pgdump|dump\.zst)\?uploadId/.test(path)) dropped.resolve();
      },
    );
  };

  it("a backup whose roles are stored all the same: they are taken away again", async () => {
    const outcome = await stoppedAtRoles();
    assert.equal(outcome.code, 143, outcome.stderr);
    assert.match(failure(outcome), STOPPED);
    await nothingIsLeft();
  });

  it("a backup whose roles are stored all the same, by a key that may not delete: they are named", async () => {
    const may = ["PutObject", "GetObject", "ListBucket", "AbortMultipartUpload"];
    const administrator = env;
    env = { ...env, ...(await world.keyThatMay(bucket, ...may.map((one) => `s3:${one}`))) };
    const outcome = await stoppedAtRoles();
    env = administrator;
    const left = (await backups()).filter((key) => !atFirst.keys.includes(key));
    assert.equal(left.length, 1);
    assert.equal(outcome.code, 143);
    assert.match(
      failure(outcome),
      /stopped by SIGTERM .*: the roles and grants stay as \S+ without/,
    );
    assert.ok(failure(outcome).includes(left[0] ?? "?"));
    await world.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: left[0] }));
  });

  it("what is done already counts: the last look of a backup, the record of a restore", async () => {
    for (const [args, request] of [
      [["backup"], ["GET", /\?prefix=.*uploads=/, 1]],
      [RESTORE, ["PUT", /\/restores\//, 1]],
    ] as const) {
      const outcome = await stoppedAt(request, args);
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.match(outcome.stderr, /stopped by SIGTERM, when everything had been done already\./);
    }
    assert.ok((await world.databases()).includes("beside"));
    const complete = (await backups()).filter((key) => key.endsWith(".manifest.json"));
    assert.equal(complete.length, 2);
  });

  it("a manifest that is not answered for: what may be left is said, and how to see what counts", async () => {
    const outcome = await stoppedAt(["PUT", /\.manifest\.json/, 1], ["backup"]);
    assert.equal(outcome.code, 143);
    assert.match(
      failure(outcome),
      /^stopped by SIGTERM and did not end in time\. .* without a manifest does not count.*list shows/,
    );
  });
});
