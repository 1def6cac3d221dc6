import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { paint } from "../../../cli/terminal/render.ts";
import { Screen } from "../../../cli/terminal/screen.ts";
import { printable, printableJson } from "../../../common/printable.ts";

/** What a terminal obeys: a title, a cursor, a colour, C1's own introducer, another direction, another line. */
const OBEYED = [
  "\u001b]0;owned\u0007",
  "\u001b[2J",
  "\u001b[8m",
  "\u009b31m",
  "\u0000",
  "\b",
  "\r",
  "\u007f",
  "\u202e",
  "\u2066",
  "\u200f",
  "\u061c",
  "\u2028",
];
const harmless = (text: string) => !/(?![\t\n])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u.test(text);

describe("a text from elsewhere", () => {
  for (const obeyed of OBEYED) {
    it(`is shown where a terminal would obey it: ${JSON.stringify(obeyed)}`, () => {
      const text = `before${obeyed}after`;
      assert.ok(harmless(printable(text)), printable(text));
      assert.match(printable(text), /^before\\u\{[0-9a-f]+\}.*after$/);
      assert.ok(harmless(printableJson({ text })));
      assert.deepEqual(JSON.parse(printableJson({ text })), { text });
    });
  }

  it("is left alone otherwise", () => {
    const text = "Zürich 🐘 \t\n 'quoted' \\u{1b} 數據";
    assert.equal(printable(text), text);
    assert.equal(printableJson({ text }, 2), JSON.stringify({ text }, null, 2));
  });

  it("is cleaned by whatever the command line prints, our colours apart", () => {
    const [out, err] = [new PassThrough(), Object.assign(new PassThrough(), { isTTY: true })];
    const input = new PassThrough();
    const screen = new Screen(false, { input, out, err });
    const machine = new Screen(true, { input, out, err });
    for (const obeyed of OBEYED) {
      screen.line(obeyed);
      screen.warn(obeyed);
      machine.document({ obeyed });
      assert.ok(harmless(String(out.read())));
      assert.ok(harmless(String(err.read())));
      screen.progress([obeyed]);
      assert.ok(harmless(String(err.read())));
      screen.clear();
      err.read();
    }
    screen.line(`\u001b[32mgood\u001b[39m ${paint.bad("x")}`);
    assert.equal(String(out.read()), `\u001b[32mgood\u001b[39m ${paint.bad("x")}\n`);
  });
});
