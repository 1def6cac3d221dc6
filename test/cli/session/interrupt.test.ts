import assert from "node:assert/strict";
import { openSync } from "node:fs";
import { access, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { entryOf, hoursAgo } from "../support/factories.ts";
import { Outside } from "../support/run.ts";
import { beginCommandLine, spawnCommandLine } from "../support/wholeProgram.ts";

/** Like the ssh to a bastion, it holds the pipes open when whoever has started it was ended; it lives as long as the folder. */
const SILENT = `touch "$here/began"; while [ -d "$here" ]; do sleep 0.1; done & wait`;

/** An agent whose question was answered, so that it was heard, and which says why it ends once its standard input has ended. */
const STOPPED =
  "stopped because the command that started it was interrupted before it was complete.";
const ATTACHED = `echo '{"event":"attached"}'
echo '{"event":"question","question":"Restore?","name":"shop_production","notRestored":[]}'
while read -r line; do if [ "$line" = yes ]; then touch "$here/began"; fi; done
echo '{"event":"error","message":"${STOPPED}"}'; exit 129`;

/** Puts a program in place of a stand-in, which then has `began` beside it once a call matches. */
async function replace(outside: Outside, name: "ssh" | "pulumi", words: string, body: string) {
  await rename(join(outside.folder, name), join(outside.folder, `${name}.usual`));
  const script = `#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *"${words}"*) ;;
  *) exec "$here/${name}.usual" "$@";;
esac
${body}
`;
  await writeFile(join(outside.folder, name), script, { mode: 0o755 });
}

async function interrupted(t: TestContext, outside: Outside, args: readonly string[]) {
  const { child, ended } = beginCommandLine(outside, args);
  t.after(() => child.kill("SIGKILL"));
  const began = join(outside.folder, "began");
  while (
    child.exitCode === null &&
    !(await access(began).then(
      () => true,
      () => false,
    ))
  ) {
    await setTimeout(20);
  }
  child.kill("SIGINT");
  return ended;
}

const rows = [
  [
    "Pulumi is silent",
    ["list"],
    "pulumi",
    "stack output",
    SILENT,
    /interrupted\. Nothing was changed\./,
  ],
  [
    "the host is silent",
    ["list"],
    "ssh",
    "agent list",
    SILENT,
    /interrupted\. Nothing was changed\./,
  ],
  ["the host is silent", ["status"], "ssh", "docker inspect", SILENT, /interrupted\. Nothing/],
  [
    "the host is silent",
    ["backup"],
    "ssh",
    "agent backup",
    SILENT,
    /interrupted, without waiting for the agent on 192\.0\.2\.10\. It stops by itself/,
  ],
  [
    "the host is silent",
    ["restore", "--yes"],
    "ssh",
    "agent restore",
    SILENT,
    /interrupted, without waiting/,
  ],
  [
    "the agent works",
    ["restore", "--yes"],
    "ssh",
    "agent restore",
    ATTACHED,
    /Interrupted: the agent stops and tidies up.*\nerror: stopped because the command that started it was interrupted/,
  ],
] as const;
for (const [when, args, program, words, body, sentence] of rows) {
  test(`Ctrl-C while ${when} ends ${args[0]} at once, and the exit code says so`, async (t) => {
    const outside = await Outside.open(t);
    await outside.backups(entryOf(hoursAgo(1)));
    await replace(outside, program, words, body);
    const { code, stdout, stderr } = await interrupted(t, outside, args);
    assert.match(stderr, sentence);
    assert.equal(code, 130);
    assert.doesNotMatch(stdout, /Backed up|Restored|newest backup/);
  });
}

test("an output that nobody reads any more does not end a command, nor change its exit code", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(...Array.from({ length: 40 }, (_, index) => entryOf(hoursAgo(30 + index))));
  for (const [args, exit] of [
    [["list"], 7],
    [["list", "--json"], 7],
    [["--help"], 0],
    [["status"], 7],
  ] as const) {
    const { child, ended } = beginCommandLine(outside, args);
    child.stdout?.destroy();
    const { code, stderr } = await ended;
    assert.equal(stderr, "", args.join(" "));
    assert.equal(code, exit, args.join(" "));
  }
});

test("an output that cannot be written fails the command, whatever it has found", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(1)));
  const { code, stderr } = await beginCommandLine(outside, ["list"], openSync("/dev/full", "w"))
    .ended;
  assert.equal(
    stderr,
    "error: standard output cannot be written (ENOSPC), so not all of it is there.\n",
  );
  assert.equal(code, 1);
  assert.equal((await spawnCommandLine(outside, ["list"])).code, 0);
});
