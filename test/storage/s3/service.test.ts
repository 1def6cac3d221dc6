import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { parseAddress } from "../../../storage/address/address.ts";
import { listBackups } from "../../../storage/catalogue/catalogue.ts";
import { dumpKey } from "../../../storage/catalogue/objectKeys.ts";
import { openStore, type Store } from "../../../storage/s3/client.ts";
import { openObject } from "../../../storage/s3/download.ts";
import { S3ObjectStore } from "../../../storage/s3/s3ObjectStore.ts";
import { probeWrite } from "../../../storage/s3/writeProbe.ts";
import { putNew } from "../../../storage/upload/conditionalPut.ts";
import { uploadStream } from "../../../storage/upload/upload.ts";
import { keysIn, makeBucket, openBucket, unfinishedIn } from "../../support/bucket.ts";
import { startRelay } from "../../support/servers/relay.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const problem = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "Problem", error.stack);
  assert.match(error.message, message);
  assert.doesNotMatch(error.message, /administrator-secret/);
  return true;
};

let service: TestStore;
before(async () => {
  service = await startStore();
});
after(() => service.stop());

/** A client as other programs set it up: what it is given is what it uses. Names below `localhost` are loopback. */
function plainClient(endpoint: string): S3Client {
  return new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: service.accessKeyId, secretAccessKey: service.secretAccessKey },
    requestHandler: {
      httpAgent: {
        lookup: (_host, options, done) =>
          options.all
            ? done(null, [{ address: "127.0.0.1", family: 4 }])
            : done(null, "127.0.0.1", 4),
      },
    },
  });
}

describe("an endpoint that contains the bucket", () => {
  const key = dumpKey("backup", "app", "2026-11-24T03:15:02", {
    compression: "zstd",
    encryption: "none",
  });

  for (const [form, bucket, endpointOf, bucketOf] of [
    ["host", "in-host", () => `http://in-host.s3.localhost:${service.port}`, "in-host"],
    [
      "host, and the bucket as a host name",
      "in-both",
      () => `http://in-both.s3.localhost:${service.port}`,
      "in-both.s3.localhost",
    ],
    ["path", "in-path", () => `${service.endpoint}/in-path`, "in-path"],
  ] as const) {
    it(`in its ${form} breaks a plain client and not ours`, async () => {
      const straight = await makeBucket(service, bucket);
      const endpoint = endpointOf();

      const plain = plainClient(endpoint);
      const list = plain.send(new ListObjectsV2Command({ Bucket: bucketOf, Prefix: "backup/" }));
      await assert.rejects(list, { name: "NoSuchKey" });
      // Writing seems to work all the same, which is why nobody notices before the night of the restore.
      await plain.send(new PutObjectCommand({ Bucket: bucketOf, Key: key, Body: "dump" }));
      assert.deepEqual(await keysIn(straight), [`${bucketOf}/${key}`], "the shadow folder");

      const address = parseAddress({
        endpoint,
        region: "us-east-1",
        bucket: bucketOf,
        prefix: "backup",
      });
      assert.ok(address.endpoint);
      assert.equal(address.bucket, bucket);
      assert.ok(address.notices.length > 0);
      const ours = new S3ObjectStore(plainClient(address.endpoint), address);
      await uploadStream(ours, key, source("dump"), {
        partBytes: 5 * 1024 * 1024,
        beforeComplete: async () => {},
      });
      assert.deepEqual(
        (await keysIn(straight)).filter((k) => !k.startsWith(bucketOf)),
        [key],
      );
      assert.deepEqual(
        (await listBackups(ours, "app")).map((entry) => entry.key),
        [key],
      );
    });
  }
});

describe("a sentence for", () => {
  const both = async (store: Store, message: RegExp) => {
    await Promise.all([
      assert.rejects(listBackups(store, "app"), problem(message)),
      assert.rejects(probeWrite(store), problem(message)),
    ]);
  };

  it("a wrong access key id", () =>
    both(
      openBucket(service, "wrong", "backup", { ...service, accessKeyId: "nobody" }),
      /^cannot .*does not know the access key id.*S3_ACCESS_KEY_ID/,
    ));

  it("a wrong secret", () =>
    both(
      openBucket(service, "wrong", "backup", { ...service, secretAccessKey: "guess" }),
      /S3_SECRET_ACCESS_KEY is wrong/,
    ));

  it("a wrong bucket", () =>
    both(
      openBucket(service, "no-such-bucket"),
      /bucket no-such-bucket was not found at http:\/\/127/,
    ));

  it("a port where nothing listens", () =>
    both(
      openBucket({ ...service, endpoint: "http://127.0.0.1:1" }, "bucket"),
      /http:\/\/127\.0\.0\.1:1 refuses connections/,
    ));

  it("a host that does not exist", () =>
    both(
      openBucket({ ...service, endpoint: "https://s3.invalid" }, "bucket"),
      /host of https:\/\/s3\.invalid was not found in DNS/,
    ));

  it("a web page instead of S3", async () => {
    const page = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<html><head><title>Console</title></head><body><p>Log in</p></body></html>");
    });
    await new Promise<void>((done) => page.listen(0, "127.0.0.1", done));
    const address = page.address();
    assert.ok(address !== null && typeof address !== "string");
    try {
      await both(
        openBucket({ ...service, endpoint: `http://127.0.0.1:${address.port}` }, "bucket"),
        /did not answer in S3's language/,
      );
    } finally {
      page.closeAllConnections();
      page.close();
    }
  });

  it("an address that contains the bucket, should one slip through", async () => {
    const store = await makeBucket(service, "slipped");
    const endpoint = `${service.endpoint}/slipped`;
    await assert.rejects(
      listBackups(openStore({ ...store.address, endpoint }, service), "app"),
      problem(/the address contains the bucket: S3_ENDPOINT must be the service address alone/),
    );
  });

  it("a missing object", async () => {
    const store = await makeBucket(service, "missing");
    await assert.rejects(
      openObject(store, "backup/x"),
      problem(/cannot read backup\/x: there is no such object in missing/),
    );
  });
});

describe("small things", () => {
  it("a probe leaves no trace", async () => {
    const store = await makeBucket(service, "probed");
    await probeWrite(store);
    assert.deepEqual([await keysIn(store), await unfinishedIn(store)], [[], []]);
  });

  it("a small object is written once", async () => {
    const store = await makeBucket(service, "once");
    await putNew(store, "backup/m", "{}", "application/json");
    await putNew(store, "backup/m", Buffer.from("{}"), "application/json");
    await assert.rejects(
      putNew(store, "backup/m", "{ }", "application/json"),
      problem(/cannot write backup\/m.*exists already/),
    );
    const read = await store.client.send(new GetObjectCommand({ Bucket: "once", Key: "backup/m" }));
    assert.equal(await read.Body?.transformToString(), "{}");
    assert.equal(read.ContentType, "application/json");
  });
});

describe("a download", () => {
  it("goes on from the last byte when connections drop", async () => {
    const store = await makeBucket(service, "dropped");
    const content = randomBytes(9 * 1024 * 1024);
    await store.client.send(new PutObjectCommand({ Bucket: "dropped", Key: "x", Body: content }));
    const relay = await relayed("cut", 3);
    try {
      const { stream, bytes } = await openObject(relay.store("dropped"), "x");
      assert.equal(bytes, content.length);
      assert.equal(sha256(Buffer.concat(await stream.toArray())), sha256(content));
      assert.equal(relay.cuts(), 3);
    } finally {
      await relay.stop();
    }
  });

  it("fails when the object was replaced meanwhile", async () => {
    const store = await makeBucket(service, "replaced");
    const put = (fill: number) =>
      store.client.send(
        new PutObjectCommand({
          Bucket: "replaced",
          Key: "x",
          Body: Buffer.alloc(9 * 1024 * 1024, fill),
        }),
      );
    await put(1);
    const relay = await relayed("cut", 1);
    try {
      const { stream } = await openObject(relay.store("replaced"), "x");
      await put(2);
      await assert.rejects(stream.toArray(), problem(/cannot read x: it was replaced/));
    } finally {
      await relay.stop();
    }
  });

  async function relayed(fate: "cut", times: number) {
    let left = times;
    const relay = await startRelay(service.endpoint, (method) => {
      if (method !== "GET" || left === 0) return "pass";
      left -= 1;
      return fate;
    });
    return {
      store: (bucket: string) => openBucket({ ...service, endpoint: relay.endpoint }, bucket),
      cuts: () => relay.count(fate),
      stop: relay.stop,
    };
  }
});

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function* source(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
