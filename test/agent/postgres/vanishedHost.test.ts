import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { unavailable } from "../world.ts";
import type { Vanished } from "./vanishedHost.ts";

/** Dropping packets takes root and a namespace, which not every machine gives. */
function noNamespace(): string | false {
  const rule = "iptables -A INPUT -p tcp --dport 1 -j DROP";
  try {
    execFileSync("unshare", ["--net", "sh", "-c", rule], { stdio: "ignore" });
    return false;
  } catch {
    return "no network namespace in which packets may be dropped";
  }
}

it("a host that vanished in a backup: its lock is named, gone within two minutes, and the scheduled run makes its own", {
  skip: unavailable || noNamespace(),
  timeout: 900_000,
}, async () => {
  const script = join(import.meta.dirname, "vanishedHost.ts");
  const { stdout } = await promisify(execFile)("unshare", ["--net", process.execPath, script]);
  const seen = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Vanished;
  const holder =
    /It is connected since \d{4}-\S+Z from 127\.0\.0\.1 \(process \d+ .* the server ends it within two minutes, or end it at once: SELECT pg_terminate_backend\(\d+\)/;
  for (const [what, { code, sentence }] of [
    [/^another backup of "big" is running, so this one was not started\./, seen.byHand],
    [/^a backup of "big" is running; swapping the database now would cut it\./, seen.restore],
  ] as const) {
    assert.equal(code, 1);
    assert.match(sentence, what);
    assert.match(sentence, holder);
  }
  const { scheduled, dumps, seconds } = seen;
  assert.equal(scheduled.code, 0, scheduled.stderr);
  assert.match(scheduled.stderr, /The scheduled run waits for it\./);
  assert.equal(dumps.after, dumps.before + 1, "it stored a backup of its own");
  assert.ok(seconds < 120, `${seconds} s`);
});
