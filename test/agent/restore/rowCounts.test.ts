import assert from "node:assert/strict";
import { it } from "node:test";
import { agrees, isOfDefinition } from "../../../agent/restore/rowCounts.ts";

it("an estimate is compared with a tenth of play, a count with none, and what was not counted with nothing", () => {
  assert(agrees(110, { rows: 100, exact: false }));
  assert(agrees(90, { rows: 100, exact: false }));
  assert(!agrees(111, { rows: 100, exact: false }));
  assert(!agrees(101, { rows: 100, exact: true }));
  assert(agrees(7, { rows: 100, exact: false, counted: false }));
});

it("a table that cannot be counted for what a definition does is no failure, one that cannot be read is", () => {
  const withCode = (code: string) => Object.assign(new Error("x"), { code });
  for (const code of ["42P01", "42501", "3F000", "22012", "P0001", "38000"]) {
    assert(isOfDefinition(withCode(code)), code);
  }
  for (const code of ["XX001", "57P01", "58030", "53200", "08006", "ECONNRESET", ""]) {
    assert(!isOfDefinition(withCode(code)), code);
  }
  assert(!isOfDefinition(undefined));
});
