import assert from "node:assert/strict";
import { test } from "node:test";
import { renderBar, renderMarkdown, renderTable, wrap } from "../../../cli/terminal/render.ts";

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

const columns = [
  { title: "name" },
  { title: "size", align: "right", givesWay: 2 },
  { title: "rows", align: "right", givesWay: 1 },
  { title: "what" },
] as const;
const name = "n".repeat(30);

test("a table that is too wide leaves out what matters least, then breaks its last column, then folds", () => {
  const rows = [[name, "3 GB", "1,000", "replaced by a restore"]];
  const table = (room?: number) =>
    renderTable(columns, rows, { room, notes: ["a note that is long"] });
  const title = `name${" ".repeat(26)}`;
  assert.deepEqual(table(), [
    `${title}   size    rows   what`,
    `${name}   3 GB   1,000   replaced by a restore`,
    "  a note that is long",
  ]);
  assert.deepEqual(table(69).slice(0, 2), [
    `${title}   size    rows   what`,
    `${name}   3 GB   1,000   replaced by a restore`,
  ]);
  assert.deepEqual(table(68).slice(0, 2), [
    `${title}   size   what`,
    `${name}   3 GB   replaced by a restore`,
  ]);
  assert.deepEqual(table(53), [
    `${title}   what`,
    `${name}   replaced by a`,
    `${" ".repeat(33)}restore`,
    "  a note that is long",
  ]);
  assert.deepEqual(table(20), [
    name,
    "  replaced by a",
    "    restore",
    "  a note that is",
    "    long",
  ]);
  const stays = [{ title: "name" }, { title: "rows", align: "right" }, { title: "what" }] as const;
  assert.deepEqual(renderTable(stays, [[name, "1,000", "kept"]], { room: 35 }), [
    name,
    "  rows 1,000   kept",
  ]);
});

test("a text is broken between its columns, else between words, and never within one", () => {
  const rows: [string, number, string[]][] = [
    ["short enough", 12, ["short enough"]],
    ["one two three", 9, ["one two", "  three"]],
    ["  one two three", 9, ["  one two", "    three"]],
    [`see ${name} there`, 12, ["see", `  ${name}`, "  there"]],
    ["a b   c d   e f", 8, ["a b", "  c d", "  e f"]],
    ["one\ntwo three", 7, ["one", "two", "  three"]],
    ["", 5, [""]],
    ["\u001b[31mred words here\u001b[39m", 10, ["\u001b[31mred words", "  here\u001b[39m"]],
    ["數據庫 數據", 9, ["數據庫", "  數據"]],
  ];
  for (const [text, room, lines] of rows) assert.deepEqual(wrap(text, room), lines, text);
  assert.deepEqual(wrap("any length ".repeat(50)).length, 1);
});
