import assert from "node:assert/strict";
import { test } from "node:test";
import {
  dropMark,
  dropTime,
  parseDropAfter,
  withDropMark,
  withoutDropMark,
} from "../../../../agent/restore/kept/dropTime.ts";

test("the mark stands behind the database's own comment, and goes without a trace", () => {
  const at = new Date("2026-12-07T10:21:10.500Z");
  for (const comment of [null, "the shop", "two\nlines", "ends with a bracket]", "\n"]) {
    const marked = withDropMark(comment, at);
    assert.equal(dropTime(marked), "2026-12-07T10:21:10.000Z");
    assert.equal(withoutDropMark(marked), comment);
    assert.equal(
      dropTime(withDropMark(marked, new Date("2027-01-01"))),
      "2027-01-01T00:00:00.000Z",
    );
    assert.equal(withoutDropMark(withDropMark(marked, at)), comment);
  }
});

test("whatever is not exactly the mark is none", () => {
  const mark = withDropMark(null, new Date("2026-12-07T10:21:10Z"));
  const none = [
    null,
    "",
    `${mark} `,
    `${mark}\nlater`,
    mark.replace("T10", "T99"),
    mark.replace("kamal", "Kamal"),
    "may be dropped after 2026-12-07T10:21:10Z",
  ];
  for (const comment of none) assert.equal(dropMark(comment), undefined, String(comment));
  assert.equal(withoutDropMark("the shop"), "the shop");
});

test("how long: days or hours", () => {
  assert.equal(parseDropAfter("7d"), 7 * 86_400_000);
  assert.equal(parseDropAfter("12h"), 12 * 3_600_000);
  for (const text of ["", "7", "0d", "-1d", "1.5d", "7 d", "7m", "3651d", "d"]) {
    assert.throws(() => parseDropAfter(text), /--drop-after .*7d or 12h/, text);
  }
});
