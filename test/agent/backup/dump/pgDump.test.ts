import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseContents, parseExtraOptions } from "../../../../agent/backup/pgDump.ts";

describe("the dump's options", () => {
  it("are split at white space, without what is done in any case", () => {
    assert.deepEqual(parseExtraOptions("  --schema=public  -Fc\t-T logs\n--no-password"), [
      "--schema=public",
      "-T",
      "logs",
    ]);
    assert.deepEqual(parseExtraOptions(""), []);
  });
  for (const word of [
    "-Fp",
    "--format=plain",
    "-f",
    "--file=x",
    "-j4",
    "-Z9",
    "-d",
    "--dbname=x",
  ]) {
    it(`may not have ${word}`, () => {
      assert.throws(() => parseExtraOptions(`--no-owner ${word}`), { name: "Problem" });
    });
  }
  it("tell the tables by the oids in the archive's contents", () => {
    const list = [
      "; Archive created at 2026-11-24",
      "215; 1259 16385 TABLE public odd TABLE DATA name postgres",
      "3344; 0 16385 TABLE DATA public odd TABLE DATA name postgres",
      "3345; 0 16390 TABLE DATA public b postgres",
      "3346; 0 0 BLOBS - BLOBS ",
    ].join("\n");
    const { defined, filled, largeObjects, entries } = parseContents(list);
    assert.deepEqual([defined, filled], [new Set([16385]), new Set([16385, 16390])]);
    assert.equal(largeObjects, true);
    assert.deepEqual(
      [...entries.keys()],
      list
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/^\d+; /, "")),
    );
    assert.equal(parseContents("1; 2613 5 BLOB - 5 postgres").largeObjects, false);
  });
});
