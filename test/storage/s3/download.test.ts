import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { openObject, readStart } from "../../../storage/s3/download.ts";
import type { ObjectBody } from "../../../storage/s3/objectStore.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const CONTENT = "0123456789";

/** A store that hands out something else than it holds. */
class Changing extends MemoryStore {
  /** `get`, or the range that was asked for. */
  readonly asked: unknown[] = [];
  readonly #change: (body: ObjectBody, turn: number) => ObjectBody;

  constructor(change: (body: ObjectBody, turn: number) => ObjectBody) {
    super();
    this.#change = change;
    this.set("backup/x", CONTENT);
  }

  override async get(key: string): Promise<ObjectBody> {
    this.asked.push("get");
    return this.#change(await super.get(key), this.asked.length);
  }

  override async getRange(
    key: string,
    range: Parameters<MemoryStore["getRange"]>[1],
  ): Promise<ObjectBody> {
    this.asked.push(range);
    return this.#change(await super.getRange(key, range), this.asked.length);
  }
}

/** The first bytes, and then a connection that drops. */
function broken(body: ObjectBody, bytes: number): ObjectBody {
  async function* pieces() {
    yield (await body.stream.toArray())[0].subarray(0, bytes);
    throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  }
  return { ...body, stream: Readable.from(pieces(), { objectMode: false }) };
}

async function read(store: MemoryStore): Promise<string> {
  const { stream } = await openObject(store, "backup/x");
  return Buffer.concat(await stream.toArray()).toString();
}

describe("an object that is read to its end", () => {
  it("goes on behind the last byte, on condition that the object is the same", async () => {
    const store = new Changing((body, turn) => (turn < 3 ? broken(body, 3) : body));
    const { etag: ifMatch } = await new Changing((body) => body).get("backup/x");
    assert.equal(await read(store), CONTENT);
    assert.deepEqual(store.asked, ["get", { from: 3, ifMatch }, { from: 6, ifMatch }]);
  });

  it("goes on where a connection ends too early without an error", async () => {
    const store = new Changing((body, turn) =>
      turn > 1 ? body : { ...body, stream: Readable.from([Buffer.from("01")]) },
    );
    assert.equal(await read(store), CONTENT);
  });

  const failures: readonly [
    what: string,
    change: (body: ObjectBody, turn: number) => ObjectBody,
    message: RegExp,
  ][] = [
    [
      "the service knows no ranges",
      (body, turn) => (turn === 1 ? broken(body, 3) : { ...body, start: undefined }),
      /the connection broke, and the service cannot go on midway/,
    ],
    [
      "the service begins elsewhere",
      (body, turn) => (turn === 1 ? broken(body, 3) : { ...body, start: 2 }),
      /cannot go on midway/,
    ],
    [
      "it gets longer",
      (body) => ({ ...body, stream: Readable.from([Buffer.from(`${CONTENT}x`)]) }),
      /the service sent more than its size/,
    ],
    ["its size is not known", (body) => ({ ...body, bytes: undefined }), /gives neither its size/],
    ["its version is not known", (body) => ({ ...body, etag: undefined }), /nor its version/],
  ];
  for (const [what, change, message] of failures) {
    it(`fails when ${what}`, async () => {
      await assert.rejects(read(new Changing(change)), { name: "Problem", message });
    });
  }

  it("fails when it is replaced meanwhile, or not there", async () => {
    const store: MemoryStore = new Changing((body) => {
      store.set("backup/x", "another one");
      return broken(body, 3);
    });
    await assert.rejects(read(store), { name: "Problem", message: /it was replaced while/ });
    await store.delete("backup/x");
    await assert.rejects(read(store), {
      name: "Problem",
      message: /^cannot read backup\/x: there is no such object in memory\. Choose another/,
    });
  });
});

describe("the beginning of an object", () => {
  it("is as long as asked for, or as the object", async () => {
    const store = new Changing((body) => body);
    assert.equal((await readStart(store, "backup/x", 4)).toString(), "0123");
    assert.equal((await readStart(store, "backup/x", 99)).toString(), CONTENT);
    assert.deepEqual(store.asked, [
      { from: 0, to: 3 },
      { from: 0, to: 98 },
    ]);
  });

  it("is cut off here where the service knows no ranges", async () => {
    const store = new Changing((body) => ({
      ...body,
      start: undefined,
      stream: Readable.from([Buffer.from(CONTENT)]),
    }));
    assert.equal((await readStart(store, "backup/x", 4)).toString(), "0123");
  });

  it("is a Problem when the connection drops or nothing is there", async () => {
    const dropped = new Changing((body) => broken(body, 2));
    await assert.rejects(readStart(dropped, "backup/x", 4), {
      name: "Problem",
      message: /^cannot read backup\/x: the connection to .* broke/,
    });
    await assert.rejects(readStart(new MemoryStore(), "backup/x", 4), /there is no such object/);
  });
});
