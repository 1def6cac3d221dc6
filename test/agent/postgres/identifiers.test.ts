import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compactStamp,
  identifier,
  literal,
  siblingName,
} from "../../../agent/postgres/identifiers.ts";

describe("names", () => {
  it("quotes identifiers and literals", () => {
    assert.equal(identifier('a "b" c'), '"a ""b"" c"');
    assert.equal(literal("it's"), "'it''s'");
    assert.equal(literal("a\\'b"), "E'a\\\\''b'");
  });

  it("keeps names beside a database within 63 bytes and apart", () => {
    const stamp = compactStamp(new Date("2026-11-24T03:15:02Z"));
    assert.equal(siblingName("shop", "before", stamp), "shop_before_20261124T031502");
    const [one, other] = [`${"é".repeat(31)}a`, `${"é".repeat(31)}b`].map((name) =>
      siblingName(name, "restore", stamp),
    );
    for (const name of [one, other]) {
      assert(Buffer.byteLength(name ?? "") <= 63);
      assert.match(name ?? "", /^é+~[0-9a-f]{8}_restore_20261124T031502$/);
    }
    assert.notEqual(one, other);
  });
});
