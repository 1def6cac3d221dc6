import assert from "node:assert/strict";
import { test } from "node:test";
import { drawTerminal, linesLeft } from "../../sandbox/commands/drawTerminal.ts";

const ESCAPE = "\u001b";

test("what was redrawn is not on the terminal any more, and the answer to a question is", () => {
  const erase = `\r${ESCAPE}[2K`;
  const question = `${ESCAPE}[1G${ESCAPE}[0JName: ${ESCAPE}[7G`;
  const text = `| asking${erase}/ asking${erase}first\n${question}shop\r\n- going on${erase}  last\n| asking${erase}`;
  assert.deepEqual(linesLeft(text), ["first", "Name: shop", "  last"]);
});

test("the picture has the colours of the command line, what was typed, and no mark-up of a text", () => {
  const line = `${ESCAPE}[32mRestored${ESCAPE}[39m a<b & c`;
  const picture = drawTerminal(["$ list", "", line], "a <list>");
  assert.match(picture, /<title>a &lt;list&gt;<\/title>/);
  assert.match(picture, /<tspan fill="#79c0ff">\$ list<\/tspan>/);
  assert.match(picture, /<tspan fill="#7ee787">Restored<\/tspan> a&lt;b &amp; c<\/text>/);
  assert.equal(picture.match(/<text /g)?.length, 2);
});
