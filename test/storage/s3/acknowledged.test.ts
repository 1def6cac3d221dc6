import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it, type TestContext } from "node:test";
import { openStore, type Store } from "../../../storage/s3/client.ts";
import { putNew } from "../../../storage/upload/conditionalPut.ts";
import { type UploadOptions, uploadStream } from "../../../storage/upload/upload.ts";
import { UncertainWrite } from "../../../storage/upload/writeCheck.ts";
import { keysIn, makeBucket, openBucket, unfinishedIn } from "../../support/bucket.ts";
import { iamUser } from "../../support/iamUser.ts";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const MiB = 1024 * 1024;
const options: UploadOptions = { partBytes: 5 * MiB, beforeComplete: async () => {} };
const isPut = (method: string, path: string) => method === "PUT" && !path.includes("partNumber=");
const isPart = (method: string, path: string) => method === "PUT" && path.includes("partNumber=");
const isComplete = (method: string, path: string) =>
  method === "POST" && path.includes("uploadId=");

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

describe("what was written is seen, not believed", { timeout: 900_000 }, () => {
  let service: TestStore;
  let buckets = 0;
  before(async () => {
    service = await startStore();
  });
  after(() => service.stop());

  /** A bucket, and the same one behind a bad line. */
  const behind = async (
    t: TestContext,
    fateOf: (method: string, path: string) => Fate,
    keys: { accessKeyId: string; secretAccessKey: string } = service,
  ) => {
    const bucket = `seen-${++buckets}`;
    const direct = await makeBucket(service, bucket);
    const relay = await startRelay(service.endpoint, fateOf);
    t.after(() => relay.stop());
    const through = openBucket({ ...service, endpoint: relay.endpoint }, bucket, "backup", keys);
    return { direct, relay, through };
  };
  const put = (store: Store) => putNew(store, "backup/x", "the content", "text/plain");
  const text = async (store: Store) => {
    const { stream } = await store.get("backup/x");
    return Buffer.concat(await stream.toArray()).toString();
  };
  /** A key that may add, and neither read nor list. */
  const adding = async (bucket: string, ...more: string[]) => {
    const user = await iamUser(service, `adds-${bucket}`, {
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Action: ["s3:PutObject", "s3:AbortMultipartUpload", ...more],
          Resource: `arn:aws:s3:::${bucket}/*`,
        },
      ],
    });
    return user.key;
  };

  describe("a small object", () => {
    for (const body of ["", "<html>ok</html>"]) {
      it(`acknowledged with ${JSON.stringify(body)} and not stored: a failure`, async (t) => {
        const { direct, relay, through } = await behind(t, (...request) =>
          isPut(...request) ? { acknowledge: body } : "pass",
        );
        await assert.rejects(put(through), {
          name: "Problem",
          message: /^the service acknowledged backup\/x, but does not hold it\. Something between/,
        });
        assert.equal(relay.count("acknowledged"), 1);
        assert.deepEqual(await keysIn(direct), []);
      });
    }

    it("acknowledged, and changed on its way: a failure", async (t) => {
      const { direct, through } = await behind(t, (...request) =>
        isPut(...request) ? { acknowledge: "" } : "pass",
      );
      await direct.putNew("backup/x", Buffer.from("the c0ntent"), "text/plain");
      await assert.rejects(put(through), /acknowledged backup\/x, but holds other bytes there/);
    });

    it("stored, and every answer lost: it counts", async (t) => {
      const { direct, relay, through } = await behind(t, (...request) =>
        isPut(...request) ? "lose-answer" : "pass",
      );
      await put(through);
      assert.ok(relay.count("lose-answer") > 1);
      assert.equal(await text(direct), "the content");
    });

    it("stored and the first answer lost, then refused by an error of another kind: it counts", async (t) => {
      const fates: Fate[] = ["lose-answer", { status: 403, code: "ExpiredToken" }];
      const { direct, through } = await behind(t, (...request) =>
        isPut(...request) ? (fates.shift() ?? "pass") : "pass",
      );
      await put(through);
      assert.deepEqual([fates.length, await text(direct)], [0, "the content"]);
    });

    it("not stored, and every answer is 500: a failure that says so", async (t) => {
      const { direct, through } = await behind(t, (...request) =>
        isPut(...request) ? { status: 500, code: "InternalError" } : "pass",
      );
      const failed = await put(through).catch((error: unknown) => error);
      assert.match(String(failed), /^Problem: cannot write backup\/x: .* failed with 500/);
      assert.ok(!(failed instanceof UncertainWrite));
      assert.deepEqual(await keysIn(direct), []);
    });

    it("every answer lost, and no look possible: it says that nobody knows", async (t) => {
      const { through } = await behind(t, (...request) => {
        if (isPut(...request)) return "lose-answer";
        return { status: 403, code: "RequestTimeTooSkewed" };
      });
      await assert.rejects(put(through), (error) => {
        assert.ok(error instanceof UncertainWrite);
        assert.match(
          error.message,
          /connection to .* broke.*Whether it is there could not be seen: cannot look at backup\/x: the clock/,
        );
        return true;
      });
    });

    it("every answer lost, and the key may not read: it says that, too", async (t) => {
      const bucket = `seen-${buckets + 1}`;
      const { direct, through } = await behind(
        t,
        (...request) => (isPut(...request) ? "lose-answer" : "pass"),
        await adding(bucket),
      );
      await assert.rejects(put(through), /Whether it is there .* since the key may not read/);
      assert.equal(await text(direct), "the content");
    });

    it("acknowledged, and the look fails: it says that nobody knows", async (t) => {
      const { through } = await behind(t, (method) =>
        method === "GET" ? { status: 403, code: "ExpiredToken" } : "pass",
      );
      await assert.rejects(
        put(through),
        /^UncertainWrite|acknowledged backup\/x\. Whether it is there could not be seen: .*expired/,
      );
    });

    it("a key that may not read is content with the acknowledgement", async () => {
      const bucket = `seen-${++buckets}`;
      const direct = await makeBucket(service, bucket);
      const store = openStore(direct.address, await adding(bucket));
      await put(store);
      assert.equal(await text(direct), "the content");
    });

    it("a bit that flips on the way up: sent again", async (t) => {
      let left = 2;
      const { direct, relay, through } = await behind(t, (...request) =>
        isPut(...request) && left-- > 0 ? "flip-bit" : "pass",
      );
      await put(through);
      assert.equal(relay.count("flip-bit"), 2);
      assert.equal(await text(direct), "the content");
    });
  });

  describe("an upload in parts", () => {
    const content = randomBytes(6 * MiB);
    const upload = (store: Store) => uploadStream(store, "backup/x", once(content), options);
    const nothingLeft = async (store: Store) => {
      assert.deepEqual([await keysIn(store), await unfinishedIn(store)], [[], []]);
    };

    it("whose completion was acknowledged and not done: a sentence made for it", async (t) => {
      const { direct, through } = await behind(t, (...request) =>
        isComplete(...request)
          ? {
              acknowledge:
                '<CompleteMultipartUploadResult><ETag>"abc"</ETag></CompleteMultipartUploadResult>',
            }
          : "pass",
      );
      await assert.rejects(
        upload(through),
        /^Problem: the service acknowledged backup\/x, but does not hold the 6291456 bytes that were sent/,
      );
      await nothingLeft(direct);
    });

    it("whose parts were acknowledged and not kept: key and service are named", async (t) => {
      const { direct, relay, through } = await behind(t, (...request) =>
        isPart(...request) ? { acknowledge: "" } : "pass",
      );
      await assert.rejects(upload(through), (error: Error) => {
        assert.equal(error.name, "Problem");
        assert.match(error.message, /^cannot upload backup\/x: http/);
        assert.ok(error.message.includes(relay.endpoint));
        return true;
      });
      await nothingLeft(direct);
    });

    it("whose completion is answered by nobody, and no look is possible: it says so", async (t) => {
      const { direct, through } = await behind(t, (method, path) => {
        if (isComplete(method, path)) return "lose-answer";
        return method === "HEAD" ? { status: 503, code: "SlowDown" } : "pass";
      });
      await assert.rejects(upload(through), /Whether it is there all the same could not be seen/);
      assert.deepEqual(await keysIn(direct), ["backup/x"]);
    });

    it("of a key whose look is refused because it has expired: not taken for one that may not read", async (t) => {
      const { through } = await behind(t, (method) =>
        ["HEAD", "GET"].includes(method) ? { status: 403, code: "ExpiredToken" } : "pass",
      );
      await assert.rejects(upload(through), /could not be seen: .*the access key has expired/);
    });

    it("of which a bit flips on the way: the part is sent again", async (t) => {
      let left = 2;
      const { relay, through } = await behind(t, (...request) =>
        isPart(...request) && left-- > 0 ? "flip-bit" : "pass",
      );
      await upload(through);
      assert.equal(relay.count("flip-bit"), 2);
    });

    it("of which a bit flips each time: changed on the way, not a service that lacks something", async (t) => {
      const { direct, through } = await behind(t, (...request) =>
        isPart(...request) ? "flip-bit" : "pass",
      );
      await assert.rejects(upload(through), /the data was changed on its way to http/);
      await nothingLeft(direct);
    });

    it("whose connection breaks after 3 MB, always: the connection broke", async (t) => {
      const { direct, through } = await behind(t, (...request) =>
        isPart(...request) ? "reset" : "pass",
      );
      await assert.rejects(upload(through), /the connection to http.* broke/);
      await nothingLeft(direct);
    });
  });
});
