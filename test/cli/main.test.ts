import assert from "node:assert/strict";
import { test } from "node:test";
import { entryOf, hoursAgo, recorded } from "./support/factories.ts";
import { Outside } from "./support/run.ts";
import { spawnCommandLine } from "./support/wholeProgram.ts";

test("the program itself: its exit codes, and no stack trace without --debug", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(31.5)));
  const good = await spawnCommandLine(outside, ["list"]);
  assert.deepEqual([good.code, good.stderr], [7, ""], "too old a backup is bad news");
  assert.match(good.stdout, /^shop_production /);
  await outside.answer("refresh", { out: await recorded("clean") });
  assert.equal((await spawnCommandLine(outside, ["drift"])).code, 7);

  await outside.answer("outputs", { err: "error: no stack named 'x' found\n", code: 6 });
  const { code, stderr, stdout } = await spawnCommandLine(outside, ["list", "--stack", "x"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /no stack named 'x' found\. Say where with --cwd and --stack/);
  assert.doesNotMatch(stderr, /\n +at /, "no stack trace without --debug");
  assert.match(
    (await spawnCommandLine(outside, ["list", "--stack", "x", "--debug"])).stderr,
    /\n +at /,
  );
});
