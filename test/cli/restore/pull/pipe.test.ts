import assert from "node:assert/strict";
import { test } from "node:test";
import { type Piped, pipe } from "../../../../cli/restore/pull/pipe.ts";

const shell = (failure: string, script: string): Piped => ({
  ...{ failure, program: "sh", args: ["-c", script], missing: `no ${failure}` },
});
const ending = { interrupted: "interrupted.", onBytes: () => {} };

test("one program's output is the other's input, and is counted", async () => {
  let counted = 0;
  const onBytes = (bytes: number) => {
    counted = bytes;
  };
  const take = shell("load", 'test "$(wc -c)" -eq 300000');
  await pipe(shell("dump", "head -c 300000 /dev/zero"), take, { ...ending, onBytes });
  assert.equal(counted, 300_000);
});

test("whichever fails is named with its first error, also where the other one notices it first", async () => {
  const endless = shell("the dump failed", "yes");
  const refuses = shell("it was not taken", "echo 'psql:<stdin>:7: ERROR:  no room.' >&2; exit 3");
  await assert.rejects(pipe(endless, refuses, ending), {
    message: "it was not taken: ERROR:  no room.",
  });
  const dies = shell("the dump failed", "echo half; echo 'pg_dump: error: lost' >&2; exit 1");
  await assert.rejects(pipe(dies, shell("it was not taken", "cat >/dev/null"), ending), {
    message: "the dump failed: pg_dump: error: lost.",
  });
  const missing = { ...refuses, program: "/no/such/program" };
  await assert.rejects(pipe(endless, missing, ending), { message: "no it was not taken" });
});
