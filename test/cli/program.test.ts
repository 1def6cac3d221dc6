import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { EXIT, EXIT_TABLE } from "../../cli/terminal/exitCodes.ts";
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

test("the exit codes stand in the help and in README", async (t) => {
  const outside = await Outside.open(t);
  const { stdout } = await outside.run(["--help"]);
  const readme = await readFile("README.md", "utf8");
  for (const [code, meaning] of EXIT_TABLE) {
    assert.match(stdout, new RegExp(`^ +${code}  ${meaning}$`, "m"));
    assert.ok(readme.includes(`| ${String(code).padEnd(4)} | ${meaning}`), `README: ${code}`);
  }
  assert.deepEqual(
    EXIT_TABLE.map(([code]) => code),
    Object.values(EXIT),
  );
});

test("arguments that are none are refused with the way to the help", async (t) => {
  const outside = await Outside.open(t);
  for (const args of [["bakup"], ["list", "--al"], ["undo"]]) {
    const { code, stdout, stderr } = await outside.run(args);
    assert.deepEqual([code, stdout], [64, ""], args.join(" "));
    assert.match(stderr, /^error: .*\n\(--help shows the commands\)\n$/s);
  }
  assert.match((await outside.run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await outside.run([])).code, 64);
  assert.deepEqual(await outside.calls("pulumi"), []);
});
