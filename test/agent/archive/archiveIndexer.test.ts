import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { ArchiveIndexer } from "../../../agent/archive/toc/archiveIndexer.ts";
import { madeArchive } from "../../support/archive.ts";

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const ROWS = [Buffer.from("1\n2\n3\n"), Buffer.alloc(300, "4\n")];
const ARCHIVE = madeArchive([
  { id: 7, type: "TABLE" },
  { id: 9, data: ROWS },
  { id: 8, data: [] },
]);
const [FULL, EMPTY] = [1 + 5 + 5 + 6 + 5 + 300 + 5, 1 + 5 + 5];
const TOC = ARCHIVE.length - FULL - EMPTY;

function indexed(archive: Buffer, step: number, digests = false) {
  const indexer = new ArchiveIndexer({ digests });
  for (let at = 0; at < archive.length; at += step) {
    // The memory of a piece is given back as soon as it was pushed.
    const piece = Buffer.from(archive.subarray(at, at + step));
    indexer.push(piece);
    piece.fill(0xff);
  }
  return indexer.index();
}

describe("the index of an archive", () => {
  const plain = {
    version: 1,
    format: "1.16",
    toc: TOC,
    blocks: [
      [9, FULL, 2],
      [8, EMPTY, 0],
    ],
  };

  for (const step of [1, 2, 3, 7, 64, 299, 65_536]) {
    it(`is the same when the archive comes ${step} bytes at a time`, () => {
      assert.deepEqual(indexed(ARCHIVE, step), plain);
      const whole = indexed(ARCHIVE, step, true);
      assert.equal(whole?.tocSha256, sha256(ARCHIVE.subarray(0, TOC)));
      assert.deepEqual(whole?.blocks, [
        [9, FULL, 2, sha256(ARCHIVE.subarray(TOC, TOC + FULL))],
        [8, EMPTY, 0, sha256(ARCHIVE.subarray(TOC + FULL))],
      ]);
    });
  }

  for (const [what, archive] of [
    ["of a newer format", Buffer.from(ARCHIVE).fill(17, 6, 7)],
    ["that is cut off in a block", ARCHIVE.subarray(0, ARCHIVE.length - 20)],
    ["that lacks a last end mark", ARCHIVE.subarray(0, ARCHIVE.length - 5)],
    ["that is cut off in its table of contents", ARCHIVE.subarray(0, TOC - 3)],
    [
      "with a block of no entry",
      Buffer.concat([ARCHIVE, Buffer.from([1, 0, 7, 0, 0, 0]), Buffer.alloc(5)]),
    ],
    [
      "with an unknown kind of block",
      Buffer.concat([ARCHIVE, Buffer.from([2, 0, 8, 0, 0, 0]), Buffer.alloc(5)]),
    ],
    ["that is something else", Buffer.from("select 1;")],
    ["that is empty", Buffer.alloc(0)],
  ] as const) {
    it(`is none for an archive ${what}`, () => {
      assert.equal(indexed(archive, 4096), undefined);
    });
  }

  it("holds 10,000 tables", () => {
    const entries = Array.from({ length: 10_000 }, (_, id) => ({
      id: id + 1,
      data: [Buffer.from("1\n")],
    }));
    const index = indexed(madeArchive(entries), 65_536);
    assert.equal(index?.blocks.length, 10_000);
    assert.deepEqual(index?.blocks.at(-1), [10_000, 1 + 5 + 5 + 2 + 5, 1]);
  });
});
