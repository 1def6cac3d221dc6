import assert from "node:assert/strict";
import { test } from "node:test";
import { Outside } from "./support.ts";

test("every command has examples in its help", async (t) => {
  const outside = await Outside.open(t);
  for (const command of [
    "backup",
    "dump",
    "list",
    "restore",
    "undo",
    "verify",
    "status",
    "drift",
  ]) {
    const { stdout, code } = await outside.run([command, "--help"]);
    assert.match(stdout, /Examples:\n {2}\$ npx kamal-postgres-backup /);
    assert.match(stdout, /--outputs <file>/);
    assert.equal(code, 0);
  }
});

test("arguments that are none are refused with the way to the help", async (t) => {
  const outside = await Outside.open(t);
  for (const args of [["bakup"], ["list", "--al"], ["undo"]]) {
    const { code, stdout, stderr } = await outside.run(args);
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(stderr, /^error: .*\n\(--help shows the commands\)\n$/s);
  }
  assert.match((await outside.run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await outside.run([])).code, 1);
  assert.deepEqual(await outside.calls("pulumi"), []);
});
