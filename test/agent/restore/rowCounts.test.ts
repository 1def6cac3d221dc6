import assert from "node:assert/strict";
import { it } from "node:test";
import { agrees } from "../../../agent/restore/rowCounts.ts";

it("an estimate is compared with a tenth of play, a count with none, and what was not counted with nothing", () => {
  assert(agrees(110, { rows: 100, exact: false }));
  assert(agrees(90, { rows: 100, exact: false }));
  assert(!agrees(111, { rows: 100, exact: false }));
  assert(!agrees(101, { rows: 100, exact: true }));
  assert(agrees(7, { rows: 100, exact: false, counted: false }));
});
