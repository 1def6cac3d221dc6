import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { beginHeader } from "../../../agent/streams/encrypt.ts";
import {
  fanOutUpload,
  type UploadDestination,
  type UploadSource,
} from "../../../agent/streams/fanOutUpload.ts";
import { runPipeline } from "../../../agent/streams/process.ts";
import { Tee } from "../../../agent/streams/tee.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import { parseAddress } from "../../../storage/address/address.ts";
import { openStore, type Store } from "../../../storage/s3/client.ts";
import { keysIn, makeBucket, unfinishedIn } from "../../support/bucket.ts";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const MiB = 1024 * 1024;
const PART = 5 * MiB;

describe("one stream, read by several", { timeout: 900_000 }, () => {
  /** Yields the same memory again and again, as a cipher does, and counts what was asked of it. */
  const counting = (chunks: number) => {
    const seen = { asked: 0, stopped: false };
    const memory = Buffer.alloc(1);
    async function* source() {
      try {
        for (let i = 1; i <= chunks; i += 1) {
          seen.asked = i;
          memory[0] = i;
          yield memory;
        }
      } finally {
        seen.stopped = true;
      }
    }
    return { seen, source: source() };
  };
  const tick = () => new Promise((resolve) => setImmediate(resolve));

  it("never runs ahead of the slowest, so that nothing is held back in memory", async () => {
    const { seen, source } = counting(3);
    const tee = new Tee(source);
    const [fast, slow] = [tee.branch(), tee.branch()];
    const first = fast.next();
    await tick();
    assert.equal(seen.asked, 0, "one of them has not asked yet");
    assert.equal((await slow.next()).value[0], 1);
    assert.equal((await first).value[0], 1);
    const second = fast.next();
    await tick();
    assert.equal(seen.asked, 1, "the slow one still works on the first chunk");
    assert.equal((await slow.next()).value[0], 2);
    assert.equal((await second).value[0], 2);
    await Promise.all([fast.next(), slow.next()]);
    const ends = await Promise.all([fast.next(), slow.next()]);
    assert.deepEqual(
      [...ends, await slow.next()].map(({ done }) => done),
      [true, true, true],
    );
  });

  it("goes on without one that has left, and stops the source when all have", async () => {
    const { seen, source } = counting(9);
    const tee = new Tee(source);
    const [stays, leaves] = [tee.branch(), tee.branch()];
    await Promise.all([stays.next(), leaves.next()]);
    const waiting = stays.next();
    await leaves.return();
    assert.equal((await waiting).value[0], 2);
    assert.equal((await leaves.next()).done, true);
    assert.equal((await stays.next()).value[0], 3);
    await stays.return();
    await tick();
    assert.deepEqual(seen, { asked: 3, stopped: true });
  });

  it("fails for all of them when the source fails", async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(1);
      throw new Error("the source broke");
    }
    const tee = new Tee(source());
    const branches = [tee.branch(), tee.branch()];
    await Promise.all(branches.map((branch) => branch.next()));
    for (const result of await Promise.allSettled(branches.map((branch) => branch.next()))) {
      assert.match(String(result.status === "rejected" && result.reason), /the source broke/);
    }
  });
});

describe("one stream, uploaded to two buckets", { timeout: 900_000 }, () => {
  let service: TestStore;
  before(async () => {
    service = await startStore();
  });
  after(() => service?.stop());

  const context = { signal: new AbortController().signal };
  const sourceOf = (text: string): UploadSource<UploadDestination> => ({
    what: "backup of the test",
    program: runPipeline(text, "cat", { args: [], env: process.env, stdin: "ignore" }),
    header: undefined,
    describeFailure: ({ code }) => `the source ended with ${code}`,
    stallLimitMs: 1_500,
  });
  const place = async (t: TestContext, bucket: string, fateOf?: () => Fate) => {
    const direct = await makeBucket(service, bucket);
    if (fateOf === undefined) return { direct, target: destinationOf(direct) };
    const relay = await startRelay(service.endpoint, (method, path) =>
      method === "PUT" && path.includes("partNumber=") ? fateOf() : "pass",
    );
    t.after(() => relay.stop());
    const { endpoint } = relay;
    const address = parseAddress({ endpoint, region: "us-east-1", bucket, prefix: "backup" });
    return { direct, target: destinationOf(openStore(address, service)) };
  };
  const destinationOf = (store: Store): UploadDestination => ({
    store,
    key: "backup/x",
    partBytes: PART,
  });
  const empty = async (store: Store) => {
    assert.deepEqual(await keysIn(store), []);
    assert.deepEqual(await unfinishedIn(store), []);
  };
  const NOISE = "head -c 40000000 /dev/urandom";

  for (const [stalled, name] of [
    [1, "the copy"],
    [0, "the first"],
  ] as const) {
    it(`${name} falls silent: given up alone after the limit, and the other is whole`, async (t) => {
      const fates = [undefined, undefined].map((_, i) =>
        i === stalled ? (): Fate => "stall" : undefined,
      );
      const places = [
        await place(t, `stall-${stalled}-a`, fates[0]),
        await place(t, `stall-${stalled}-b`, fates[1]),
      ];
      const results = await fanOutUpload(
        context,
        sourceOf(NOISE),
        places.map(({ target }) => target),
      );
      const [dead, whole] = [results[stalled], results[1 - stalled]];
      assert.match(String(dead?.status === "rejected" && dead.reason), /no byte moved for/);
      assert.equal(whole?.status === "fulfilled" && whole.value.bytes, 40_000_000);
      await empty(places[stalled]?.direct as Store);
    });
  }

  it("the source falls silent: both are given up, for that reason", async (t) => {
    const places = [await place(t, "silent-a"), await place(t, "silent-b")];
    const results = await fanOutUpload(
      context,
      sourceOf("head -c 9000000 /dev/urandom; sleep 60"),
      places.map(({ target }) => target),
    );
    const reasons = results.map((result) => result.status === "rejected" && String(result.reason));
    assert.match(String(reasons[0]), /no byte moved for/);
    assert.equal(reasons[0], reasons[1]);
    for (const { direct } of places) await empty(direct);
  });

  it("a source without a byte is empty if it ended well, encrypted, packed or neither; else it says why it failed", async (t) => {
    const { direct, target } = await place(t, "nothing");
    const recipients = [formatRecipient(publicKeyOf(Buffer.alloc(32, 1)))];
    for (const second of ["cat", "zstd -q -c"]) {
      for (const encryption of [undefined, { recipients }, { passphrase: "word" }]) {
        for (const [text, sentence] of [
          ["true", /the backup is empty: its source ended without a byte/],
          ["sh -c 'exit 7'", /the source ended with 7/],
          ["sh -c 'kill -9 $$'", /the source ended with 137/],
        ] as const) {
          const program = runPipeline(text, second, {
            args: [],
            env: process.env,
            stdin: "ignore",
          });
          const source = { ...sourceOf("true"), program, header: beginHeader(encryption) };
          const [result] = await fanOutUpload(context, source, [target]);
          assert.match(String(result?.status === "rejected" && result.reason), sentence);
        }
      }
    }
    await empty(direct);
  });

  it("what must happen before an object is visible gets the destinations that are left", async (t) => {
    const refusal: Fate = { status: 403, code: "AccessDenied" };
    const places = [
      await place(t, "told-a"),
      await place(t, "told-b", () => refusal),
      await place(t, "told-c"),
    ];
    const targets = places.map(({ target }) => target);
    const seen: number[][] = [];
    const results = await fanOutUpload(
      context,
      {
        ...sourceOf(NOISE),
        beforeComplete: async (target, live) => {
          for (const { direct } of places) assert.deepEqual(await keysIn(direct), []);
          seen.push([targets.indexOf(target), live.length]);
          if (target === targets[2]) throw new Error("not here");
        },
      },
      targets,
    );
    assert.deepEqual(
      seen.toSorted(([a = 0], [b = 0]) => a - b),
      [
        [0, 2],
        [2, 2],
      ],
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected"],
    );
    await empty(places[1]?.direct as Store);
    await empty(places[2]?.direct as Store);
  });
});
