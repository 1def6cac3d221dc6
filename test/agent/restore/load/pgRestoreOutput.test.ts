import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  RestoreOutput,
  type TableProgress,
} from "../../../../agent/restore/load/pgRestoreOutput.ts";

/** What is reported of the output, whether it comes at once or byte by byte. */
function told(text: string): { steps: string[]; failure: string } {
  const read = (pieces: Iterable<string>) => {
    const steps: string[] = [];
    const output = new RestoreOutput(({ done, table }: TableProgress) =>
      steps.push(`${done} ${table}`),
    );
    for (const piece of pieces) output.read(piece);
    return { steps, failure: output.failure() };
  };
  const whole = read([text]);
  assert.deepEqual(read(text), whole);
  return whole;
}

const own = (...lines: string[]) => lines.map((line) => `pg_restore: ${line}\n`).join("");

describe("what pg_restore says", () => {
  it("one connection: a table is done when the next thing begins", () => {
    const { steps, failure } = told(
      own(
        "connecting to database for restore",
        'creating TABLE "public.a"',
        'processing data for table "public.a"',
        'processing data for table "we ird.t" x\n y"',
        "executing SEQUENCE SET a_id_seq",
        'creating CONSTRAINT "public.a a_pkey"',
      ),
    );
    assert.deepEqual(steps, ["0 public.a", '1 we ird.t" x', '2 we ird.t" x']);
    assert.equal(failure, "");
  });

  it("several connections: a table is done when its item is finished", () => {
    const { steps } = told(
      own(
        "processing item 216 TABLE a",
        'creating TABLE "public.a"',
        "entering main parallel loop",
        "launching item 1 TABLE DATA a",
        "launching item 2 TABLE DATA b",
        'processing data for table "public.a"',
        'processing data for table "public.b"',
        "finished item 2 TABLE DATA b",
        "launching item 3 CONSTRAINT b b_pkey",
        'creating CONSTRAINT "public.b b_pkey"',
        "finished item 3 CONSTRAINT b b_pkey",
        "finished item 1 TABLE DATA a",
        "finished main parallel loop",
      ),
    );
    assert.deepEqual(steps, ["0 public.a", "0 public.b", "1 public.b", "2 public.b"]);
  });

  it("a worker's name and text, with another's line between the two", () => {
    for (const [before, after] of [
      ["pg_restore:", " "],
      ["pg_restore: ", ""],
    ]) {
      const { steps, failure } = told(
        [
          "pg_restore: launching item 1 TABLE DATA a\n",
          `${before}pg_restore: launching item 2 TABLE DATA b\n`,
          `${after}processing data for table "public.a"\n`,
          `${before}pg_restore: finished item 1 TABLE DATA a\n`,
          `${after}error: could not execute query: ERROR:  no room\n`,
        ].join(""),
      );
      assert.deepEqual(steps, ["0 public.a", "1 public.a"]);
      assert.match(failure, /^ ?error: could not execute query: ERROR: {2}no room$/);
    }
  });

  it("the first error with what belongs to it, without the statement and what it did to others", () => {
    const { failure } = told(
      [
        own("warning: what came before"),
        own('creating INDEX "public.error: x"', "while PROCESSING TOC:"),
        own("from TOC entry 3217; 1259 16413 INDEX z_i_idx postgres"),
        own("error: could not execute query: ERROR:  no index"),
        "DETAIL:  the detail\nHINT:  the hint\nCommand was: CREATE INDEX\n ON z\n\n",
        own("finished item 3 TABLE DATA x", "error: a worker process died unexpectedly"),
      ].join(""),
    );
    assert.deepEqual(failure.split("\n"), [
      "pg_restore: error: could not execute query: ERROR:  no index",
      "DETAIL:  the detail",
      "HINT:  the hint",
    ]);
  });

  it("what a shell says that cannot start it, and a line without an end", () => {
    assert.equal(told("sh: 1: pg_restore: not found").failure, "sh: 1: pg_restore: not found");
    assert.equal(told("").failure, "");
  });
});
