import assert from "node:assert/strict";
import { test } from "node:test";
import { renderBackups } from "../../cli/commands/list.ts";
import { renderBar, renderMarkdown, renderTable } from "../../cli/terminal/render.ts";
import { entryOf, outputs } from "./samples.ts";

test("the table of backups", () => {
  const lines = renderBackups(outputs, [
    entryOf("2026-11-24T03:15:02"),
    entryOf("2026-11-23T03:15:01", { manifestKey: null, manifest: null, bytes: 1_100_000 }),
    entryOf("2026-10-01T00:00:00", { kind: "legacy", manifestKey: null, manifest: null }),
  ]);
  assert.deepEqual(lines, [
    "taken (UTC)             size   database   tables         rows   state         kept until",
    "2026-11-24 03:15:02   412 MB     2.8 GB        2   18,204,117   complete      2026-12-24",
    "2026-11-23 03:15:01   1.1 MB                                    no manifest   2026-12-23",
    "2026-10-01 00:00:00   412 MB                                    legacy        2026-10-31",
  ]);
});

test("kept until is left out where the bucket's rules are not ours", () => {
  const { retentionDays: _, ...rest } = outputs;
  assert.doesNotMatch(renderBackups(rest, [entryOf("2026-11-24T03:15:02")])[0] ?? "", /kept/);
});

test("colours do not count for the width of a column", () => {
  const lines = renderTable(
    [{}, {}],
    [
      ["\u001b[32mgreen\u001b[39m", "x"],
      ["colour", "y"],
    ],
  );
  assert.deepEqual(lines, ["\u001b[32mgreen\u001b[39m    x", "colour   y"]);
});

test("the bar is never longer than its frame", () => {
  assert.equal(renderBar(0, 0), "[--------------------]");
  assert.equal(renderBar(1, 2), "[##########----------]");
  assert.equal(renderBar(9, 2), "[####################]");
});

test("a cell cannot break a Markdown table", () => {
  assert.equal(renderMarkdown(["a"], [["x | y\nz"]]), "| a |\n| --- |\n| x \\| y z |");
});
