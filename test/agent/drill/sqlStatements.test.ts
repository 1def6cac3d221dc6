import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readDrillRequest } from "../../../agent/restore/drill/drillRequest.ts";
import { splitStatements } from "../../../agent/restore/drill/sqlStatements.ts";

const sqlOf = (text: string) => splitStatements(text, "the checks").map(({ sql }) => sql);

describe("a file of SQL checks", () => {
  const rows: readonly [what: string, text: string, statements: string[]][] = [
    ["at semicolons, the last one or not", "select 1;\nselect 2", ["select 1", "select 2"]],
    ["without what is empty", ";; select 1 ;\n;-- only a remark\n;", ["select 1"]],
    [
      "not in a quote",
      "select ';', 'it''s; one'; select 2",
      ["select ';', 'it''s; one'", "select 2"],
    ],
    [
      "not in a quote with backslashes",
      "select E'\\';', e'\\\\'; select 2",
      ["select E'\\';', e'\\\\'", "select 2"],
    ],
    [
      "and no backslash escapes in a plain one",
      "select '\\'; select 2",
      ["select '\\'", "select 2"],
    ],
    [
      "not in a quoted name",
      'select ";" from "a"";"; select 2',
      ['select ";" from "a"";"', "select 2"],
    ],
    [
      "not in dollar quotes",
      "select $$;$$, $a$;$$;$a$; select 2",
      ["select $$;$$, $a$;$$;$a$", "select 2"],
    ],
    [
      "where a dollar is part of a name",
      "select a$1$ from t; select b$1$ from t",
      ["select a$1$ from t", "select b$1$ from t"],
    ],
    [
      "not in comments, which nest",
      "select /* ; /* ; */ ; */ 1 -- ; '\n; select 2",
      ["select /* ; /* ; */ ; */ 1 -- ; '", "select 2"],
    ],
    ["whose name ends in e", "select name'x'; select 2", ["select name'x'", "select 2"]],
  ];
  for (const [what, text, statements] of rows) {
    it(`is split ${what}`, () => assert.deepEqual(sqlOf(text), statements));
  }

  it("names each check by the comment above it, else by its first line, and knows its line", () => {
    const text = [
      "-- A remark on the file.",
      "",
      "-- no order without",
      "-- a customer",
      "select id from orders",
      "where customer is null;",
      "/* totals",
      "   agree */ select 1 where false;",
      "",
      `select ${"x".repeat(90)};`,
    ].join("\n");
    assert.deepEqual(
      splitStatements(text, "the checks").map(({ name, line }) => [line, name]),
      [
        [5, "no order without a customer"],
        [8, "totals agree"],
        [10, `select ${"x".repeat(72)}…`],
      ],
    );
  });

  for (const [text, sentence] of [
    ["select 1;\nselect 'a", "a quote that begins on line 2"],
    ['select "a', "a quoted name that begins on line 1"],
    ["\n\nselect $x$ a $$", "a dollar quote that begins on line 3"],
    ["select 1 /* a /* b */", "a comment that begins on line 1"],
  ] as const) {
    it(`is refused where it has no end: ${JSON.stringify(text)}`, () => {
      assert.throws(() => splitStatements(text, "the checks"), {
        message: `${sentence} of the checks has no end.`,
      });
    });
  }
});

describe("the request for a drill", () => {
  const request = (checks: string) =>
    readDrillRequest({}, Promise.resolve(JSON.stringify({ checks })));

  it("is refused where the checks are comments alone: asking nothing would pass", async () => {
    assert.equal((await request("-- a\nselect 1")).checks.length, 1);
    for (const checks of ["-- select 1;\n", "/* a */ ;", " "]) {
      await assert.rejects(
        request(checks),
        /^Problem: the file of checks holds comments alone\. Write a query below its comment\.$/,
      );
    }
  });
});
