import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeBech32 } from "../../../common/age/bech32.ts";
import { makeHeader, parseHeader, unlock } from "../../../common/age/header.ts";
import {
  formatRecipient,
  parseIdentity,
  parseRecipient,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import { decryptStream, encryptStream } from "../../../common/age/stream.ts";

const CHUNK = 64 * 1024;

const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));
/** Bytes of any number, often some near a chunk's border, where the last one is marked. */
const plain = fc
  .oneof(
    fc.nat({ max: 300 }),
    fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: -2, max: 2 })).map(([n, d]) => n * CHUNK + d),
  )
  .filter((size) => size >= 0)
  .chain((size) =>
    fc
      .uint8Array({ minLength: Math.min(size, 64), maxLength: Math.min(size, 64) })
      .map((seed) => fillWith(seed, size)),
  );
/** Where a pipe cuts a stream: the lengths of its pieces, over and over. */
const cuts = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 5 });

function fillWith(seed: Uint8Array, size: number): Buffer {
  return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, seed);
}

async function* pieces(bytes: Buffer, lengths: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, count = 0; at < bytes.length; count++) {
    const length = lengths[count % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

async function joined(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const out: Buffer[] = [];
  // Copied: what the stream yields is valid only until the next piece is asked for.
  for await (const piece of stream) out.push(Buffer.from(piece));
  return Buffer.concat(out);
}

async function encrypt(bytes: Buffer, recipients: string[], lengths: number[]): Promise<Buffer> {
  const { header, payloadKey } = await makeHeader({ recipients });
  return joined(encryptStream(pieces(bytes, lengths), header, payloadKey));
}

async function decrypt(file: Buffer, identity: Buffer, lengths: number[]): Promise<Buffer> {
  const header = parseHeader(file);
  assert.ok(header);
  const payloadKey = await unlock(header, { identities: [identity] });
  return joined(decryptStream(pieces(file, lengths), header.bytes, payloadKey));
}

describe("any bytes", () => {
  it("come back for each of those for whom they were encrypted, however the streams are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        plain,
        fc.array(key, { minLength: 1, maxLength: 3 }),
        cuts,
        cuts,
        async (bytes, keys, one, other) => {
          const recipients = keys.map((identity) => formatRecipient(publicKeyOf(identity)));
          const file = await encrypt(bytes, recipients, one);
          for (const identity of keys) {
            assert.ok((await decrypt(file, identity, other)).equals(bytes));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("are not given out when a byte of the file was changed or its end is missing", async () => {
    const damage = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      bit: fc.nat({ max: 7 }),
      cut: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(plain, key, damage, async (bytes, identity, { at, bit, cut }) => {
        const file = await encrypt(bytes, [formatRecipient(publicKeyOf(identity))], [70_000]);
        const index = Math.floor(at * file.length);
        const wrong = Buffer.from(cut ? file.subarray(0, index) : file);
        if (!cut) wrong[index] = (wrong[index] ?? 0) ^ (1 << bit);
        await assert.rejects(decrypt(wrong, identity, [70_000]));
      }),
      { numRuns: 60 },
    );
  });
});

describe("any head", () => {
  it("is refused when its MAC is written in another way with the same bytes, as the specification demands", async () => {
    const charset = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    await fc.assert(
      fc.asyncProperty(key, fc.integer({ min: 1, max: 3 }), async (identity, spare) => {
        const file = await encrypt(Buffer.alloc(9), [formatRecipient(publicKeyOf(identity))], [9]);
        const last = file.indexOf("\n--- ") + "\n--- ".length + 42;
        const value = charset.indexOf(String.fromCharCode(file[last] ?? 0));
        assert.equal(value % 4, 0, "two bits of the last letter carry nothing");
        file[last] = charset.charCodeAt(value + spare);
        await assert.rejects(decrypt(file, identity, [9]), /is not that of an age file/);
      }),
      { numRuns: 20 },
    );
  });
});

describe("any key", () => {
  it("is read back from its text", () => {
    fc.assert(
      fc.property(key, (bytes) => {
        const identity = encodeBech32("age-secret-key-", bytes).toUpperCase();
        assert.ok(parseIdentity(identity).equals(bytes));
        const publicKey = publicKeyOf(bytes);
        assert.ok(parseRecipient(formatRecipient(publicKey)).equals(publicKey));
      }),
    );
  });

  it("is refused when one character of its text is another", () => {
    const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    fc.assert(
      fc.property(key, fc.nat({ max: 57 }), fc.constantFrom(...charset), (bytes, at, letter) => {
        const text = formatRecipient(publicKeyOf(bytes));
        const index = "age1".length + at;
        fc.pre(text[index] !== letter);
        const wrong = text.slice(0, index) + letter + text.slice(index + 1);
        assert.throws(() => parseRecipient(wrong), { name: "Problem" });
      }),
    );
  });
});
