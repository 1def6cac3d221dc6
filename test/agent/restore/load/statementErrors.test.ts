import assert from "node:assert/strict";
import { it } from "node:test";
import { adviceFor } from "../../../../agent/restore/load/failure.ts";
import { asSentence, StatementErrors } from "../../../../agent/restore/load/statementErrors.ts";

it("an error of several lines becomes sentences, without the excerpt and the data in it", () => {
  for (const [lines, sentence] of [
    [["ERROR:  no"], "no"],
    [["no.", "DETAIL:  Why.", "HINT:  Do this."], "no. Why. Do this"],
    [
      ['COPY failed for table "t": ERROR:  bad', "LINE 1: x", "        ^", "QUERY:  x", "more x"],
      'COPY failed for table "t": bad',
    ],
    [
      ["bad", 'CONTEXT:  SQL function "f"', 'COPY t, line 17, column a: "secret"'],
      "bad. At line 17 of the rows of t",
    ],
    [["first half", "  second half", "DETAIL:  a", "b"], "first half second half. a b"],
    [["pg_restore: error: connection", "pg_restore: detail: gone"], "connection. gone"],
    [["sh: 1: pg_restore: not found"], "sh: 1: pg_restore: not found"],
  ] as const) {
    assert.equal(asSentence(lines), sentence);
  }
});

it("every error is kept with its entry and its statement", () => {
  const output = [
    "pg_restore: while PROCESSING TOC:",
    "pg_restore: from TOC entry 7; 2606 1 FK CONSTRAINT a b",
    "pg_restore: error: could not execute query: ERROR:  one",
    "DETAIL:  why",
    "Command was: ALTER TABLE t",
    "    ADD x;",
    "",
    "pg_restore: creating INDEX",
    "no part of it",
    "pg_restore: error: could not execute query: ERROR:  two",
    `Command was: ${Array.from({ length: 40 }, (_, line) => `line ${line}`).join("\n")}`,
    "pg_restore: from TOC entry 9; 0 1 TABLE DATA t",
    'pg_restore: error: COPY failed for table "t": ERROR:  three',
    "pg_restore: warning: errors ignored on restore: 3",
  ].join("\n");
  const errors = new StatementErrors();
  for (const line of output.split("\n")) errors.read(line);
  assert.equal(errors.wentOn, true);
  const [one, two, three] = errors.all;
  assert.deepEqual(one, {
    ...{ id: 7, message: "one. why" },
    ...{ statement: "ALTER TABLE t\n    ADD x;", isWhole: true },
  });
  assert.deepEqual([two?.id, two?.message, two?.isWhole], [7, "two", false]);
  assert.deepEqual([three?.id, three?.statement, three?.isWhole], [9, "", false]);
});

it("what helps against a full disk, and a row that is too large, is said", () => {
  assert.match(adviceFor("could not extend file"), /disk is full/);
  assert.match(
    adviceFor("invalid memory alloc request size 1174405123"),
    /less than 1 GB.*--exclude-table/,
  );
  assert.match(adviceFor("out of memory\nDETAIL:  Cannot enlarge string buffer"), /less than 1 GB/);
  assert.equal(adviceFor("no such table"), "");
});
