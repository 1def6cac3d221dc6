import assert from "node:assert/strict";
import { test } from "node:test";
import { ToolWarnings } from "../../../agent/streams/toolWarnings.ts";

test("each warning once, with what belongs to it, from pieces of two programs' output", () => {
  const warnings = new ToolWarnings();
  const [dump, globals] = [warnings.reader(), warnings.reader()];
  dump("pg_dump: last built-in OID is 16383\npg_dump: warn");
  dump("ing: there are circular foreign-key constraints on this table:\npg_dump: detail: node\n");
  globals('WARNING:  database "x" has a collation version mismatch\nDETAIL:  Created with 2.31\n');
  dump("pg_dump: hint: You might not be able to restore the dump.\n");
  dump('WARNING:  database "x" has a collation version mismatch\nDETAIL:  Created with 2.31\n');
  dump("pg_dump: error: not a warning\npg_dump: detail: of the error\n");
  globals("pg_dumpall: warning: \u001b[31mred\n");
  globals("pg_dumpall: executing SELECT 1\nWARNING:  \n".repeat(2));
  assert.deepEqual(warnings.all, [
    "there are circular foreign-key constraints on this table: node. You might not be able to restore the dump.",
    'database "x" has a collation version mismatch. Created with 2.31',
    "red",
  ]);
});

test("their number and length are bounded", () => {
  const warnings = new ToolWarnings();
  const read = warnings.reader();
  for (let n = 0; n < 1000; n += 1) read(`pg_dump: warning: ${n} ${"x".repeat(2000)}\n`);
  assert.equal(warnings.all.length, 100);
  assert(warnings.all.every((text) => text.length <= 500));
});
