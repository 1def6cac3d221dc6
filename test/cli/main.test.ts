import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, recorded } from "./factories.ts";
import { Outside } from "./support.ts";

test("the program itself: its exit codes, and no stack trace without --debug", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(31.5)));
  const good = await outside.spawn(["list"]);
  assert.deepEqual([good.code, good.stderr], [0, ""]);
  assert.match(good.stdout, /^shop_production /);
  await outside.answer("refresh", { out: await recorded("clean") });
  assert.equal((await outside.spawn(["drift"])).code, 7);

  await outside.answer("outputs", { err: "error: no stack named 'x' found\n", code: 6 });
  const { code, stderr, stdout } = await outside.spawn(["list", "--stack", "x"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /no stack named 'x' found\. Say where with --cwd and --stack/);
  assert.doesNotMatch(stderr, /\n +at /, "no stack trace without --debug");
  assert.match((await outside.spawn(["list", "--stack", "x", "--debug"])).stderr, /\n +at /);
});

test("every command has examples in its help", async (t) => {
  const outside = await Outside.open(t);
  for (const command of ["backup", "list", "restore", "undo", "verify", "status", "drift"]) {
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
