import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { Screen } from "../../../cli/terminal/screen.ts";
import { Text } from "../support/run.ts";

function open(t: TestContext, columns?: number, json = false) {
  t.mock.timers.enable({ apis: ["setInterval", "Date"] });
  const terminal = columns === undefined ? {} : { isTTY: true, columns };
  const [out, err] = [new Text(), new Text()].map((text) => Object.assign(text, terminal));
  if (out === undefined || err === undefined) throw new Error("two are made");
  const screen = new Screen(json, { input: new PassThrough(), out, err });
  /** What came since it was asked last. */
  const more = () => {
    const text = err.text;
    err.text = "";
    return text;
  };
  return { screen, out, more, tick: (ms: number) => t.mock.timers.tick(ms) };
}

const ERASED = "\r\u001b[2K";

test("on a terminal a word stands there at once, and something moves while nothing comes", (t) => {
  const { screen, out, more, tick } = open(t, 80);
  screen.waiting("asking Pulumi");
  assert.equal(more(), "| asking Pulumi");
  tick(300);
  assert.equal(more(), `${ERASED}/ asking Pulumi${ERASED}- asking Pulumi`);
  screen.warn("a remark");
  assert.equal(more(), `${ERASED}a remark\n\\ asking Pulumi`);
  screen.progress(["reading", "17 %"]);
  assert.equal(more(), `${ERASED}| reading   17 %`);
  screen.line("the result");
  assert.equal(out.text, "the result\n");
  more();
  screen.clear();
  assert.equal(more(), ERASED);
  tick(60_000);
  assert.equal(more(), "", "nothing is drawn below the result");
});

test("a line of progress never wraps: what matters least is left out", (t) => {
  const parts = ["reading", "67 MB of 400 MB", "17 %", "12 MB/s", "28 s left"];
  const more = ["[###-----------------]", "2 of 10 tables filled", `(public.${"t".repeat(63)})`];
  for (const [columns, shown] of [
    [60, "| reading   67 MB of 400 MB   17 %   12 MB/s   28 s left"],
    [80, "| reading   67 MB of 400 MB   17 %   12 MB/s   28 s left"],
    [90, "| reading   67 MB of 400 MB   17 %   12 MB/s   28 s left   [###-----------------]"],
    [
      110,
      "| reading   67 MB of 400 MB   17 %   12 MB/s   28 s left   [###-----------------]   2 of 10 tables filled",
    ],
    [20, "| reading   17 %"],
    [5, "| re"],
  ] as const) {
    t.mock.timers.reset();
    const { screen, more: written } = open(t, columns);
    screen.progress([...parts, ...more]);
    const line = written();
    assert.equal(line, shown);
    assert.ok(line.length < columns);
    screen.clear();
  }
});

test("without a terminal each step has a line, then one every few seconds; silence is said, too", (t) => {
  const { screen, more, tick } = open(t);
  screen.waiting("asking 192.0.2.10");
  tick(25_000);
  assert.equal(more(), "", "a command that answers soon prints its answer alone");
  tick(5_000);
  assert.equal(more(), "  still asking 192.0.2.10\n");
  screen.progress(["reading", "1 %"]);
  assert.equal(more(), "  reading   1 %\n");
  tick(1_000);
  screen.progress(["reading", "2 %"]);
  assert.equal(more(), "");
  tick(4_000);
  screen.progress(["reading", "7 %", ""]);
  assert.equal(more(), "  reading   7 %\n");
  screen.progress(["comparing", "1 of 4 tables"]);
  assert.equal(more(), "  comparing   1 of 4 tables\n");
  for (let half = 0; half < 2; half += 1) {
    tick(30_000);
    assert.equal(more(), "  still comparing   1 of 4 tables\n");
  }
  screen.clear();
  tick(60_000);
  assert.equal(more(), "");
});

test("for a machine nothing is drawn, and its document is one", (t) => {
  const { screen, out, more, tick } = open(t, 80, true);
  screen.waiting("asking");
  screen.progress(["reading", "1 %"]);
  screen.line("for people");
  screen.exactLine("for people");
  screen.table([{}], [["for people"]]);
  tick(60_000);
  assert.equal(more(), "");
  screen.document({ a: 1 });
  assert.deepEqual(JSON.parse(out.text), { a: 1 });
});

test("a line to copy is never broken, others are broken between words", (t) => {
  const { screen, out } = open(t, 30);
  const command = "  npx kamal-postgres-backup undo shop_production_before_20261124T102110";
  screen.exactLine(command);
  screen.line("The database of production is kept as shop_production_before_20261124T102110.");
  assert.deepEqual(out.text.split("\n"), [
    command,
    "The database of production is",
    "  kept as",
    "  shop_production_before_20261124T102110.",
    "",
  ]);
});

test("with --json nothing stands on standard error of what goes on, not even an empty line", (t) => {
  const { screen, more, tick } = open(t, undefined, true);
  screen.waiting("asking Pulumi");
  screen.progress(["reading", "17 %"]);
  tick(60_000);
  assert.equal(more(), "");
});
