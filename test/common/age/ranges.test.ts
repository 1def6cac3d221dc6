import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { makeHeader, parseHeader } from "../../../common/age/header.ts";
import { AgeRanges } from "../../../common/age/ranges.ts";
import { encryptStream } from "../../../common/age/stream.ts";

const CHUNK = 65_536;

async function encrypted(plain: Buffer) {
  const { header, payloadKey } = await makeHeader({ passphrase: "correct horse" });
  const parts: Buffer[] = [];
  async function* source() {
    yield plain;
  }
  for await (const part of encryptStream(source(), header, payloadKey))
    parts.push(Buffer.from(part));
  const file = Buffer.concat(parts);
  const headerBytes = parseHeader(file)?.bytes ?? 0;
  return {
    file,
    ranges: new AgeRanges(file.length, headerBytes, payloadKey),
    headerBytes,
    payloadKey,
  };
}

for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 5]) {
  it(`any part of ${size} encrypted bytes is decrypted by itself`, async () => {
    const plain = randomBytes(size);
    const { file, ranges } = await encrypted(plain);
    assert.equal(ranges.plainBytes, size);
    const edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, size - 1, size].filter(
      (at) => at >= 0 && at <= size,
    );
    for (const from of edges) {
      for (const to of edges.filter((end) => end > from)) {
        const { from: first, to: last } = ranges.stored({ from, to });
        const found = Buffer.concat([...ranges.decrypt(file.subarray(first, last), { from, to })]);
        assert.ok(found.equals(plain.subarray(from, to)), `${from} to ${to}`);
      }
    }
    const end = ranges.stored(ranges.lastChunk);
    assert.equal(end.to, file.length);
    assert.equal([...ranges.decrypt(file.subarray(end.from, end.to), ranges.lastChunk)].length, 1);
  });
}

it("a chunk in another one's place, and a file that ends at a chunk, are found", async () => {
  const { file, ranges, headerBytes, payloadKey } = await encrypted(randomBytes(3 * CHUNK));
  const range = { from: CHUNK, to: 2 * CHUNK };
  const other = ranges.stored({ from: 0, to: CHUNK });
  assert.throws(
    () => [...ranges.decrypt(file.subarray(other.from, other.to), range)],
    /chunk number 2 was changed/,
  );
  const cut = ranges.stored(range).to;
  const shorter = new AgeRanges(cut, headerBytes, payloadKey);
  const last = shorter.stored(shorter.lastChunk);
  assert.throws(
    () => [...shorter.decrypt(file.subarray(last.from, last.to), shorter.lastChunk)],
    /cut off there/,
  );
  assert.throws(
    () => new AgeRanges(file.length - 65_540, headerBytes, payloadKey),
    /fits no whole age file/,
  );
});
