import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";

const CLAIM = /nothing (was|is) (stored|changed)/gi;

/** A test by its file and by words that stand in it; or why it cannot be otherwise, in a sentence. */
type Proof = readonly [file: string, words: string] | string;

const BEFORE_ALL = "It is asked before the first statement that changes something.";
const READS = "It is said of a program that reads only: docker inspect, pulumi preview, list.";
const AFTER_PLAN = "makePlan only reads; the first statement that writes comes after it.";
const restoreTests = "test/agent/restore";

/** Each file that says so, with a proof for each of its places, from top to bottom. */
const PLACES: Readonly<Record<string, readonly Proof[]>> = {
  "agent/archive/chosenBackup.ts": [
    [
      "test/agent/archive/authenticity.test.ts",
      "may be somebody else's: its manifest is not signed",
    ],
  ],
  "agent/backup/dumpStart.ts": [
    "A connection that is lost before the dump has its locks: the upload begins only then.",
    "The upload begins only when the dump has its locks; of this try there is none.",
  ],
  "agent/restore/checks/occupants.ts": [
    [`${restoreTests}/restoreChecks.test.ts`, "cannot be replaced now"],
  ],
  "agent/restore/checks/partial.ts": [[`${restoreTests}/losses.test.ts`, "partial, without"]],
  "agent/restore/checks/requiredExtensions.ts": [
    [`${restoreTests}/restoreOptions.test.ts`, "extensions that this server cannot create"],
  ],
  "agent/restore/checks/requiredRoles.ts": [
    [`${restoreTests}/restoreOptions.test.ts`, "roles that this server does not have"],
  ],
  "agent/restore/checks/rights.ts": [
    [`${restoreTests}/restoreFaults.test.ts`, "lacks what this restore needs"],
  ],
  "agent/restore/checks/server.ts": [
    [`${restoreTests}/restoreChecks.test.ts`, "this server is a standby"],
  ],
  "agent/restore/checks/space.ts": [
    "A full folder fails the unpacking, which comes before the live database is touched.",
  ],
  "agent/restore/drill/throwAwayServer.ts": [
    ["test/agent/drill/drill.test.ts", "a drill wants a server of its own"],
  ],
  "agent/restore/load/content.ts": [
    "dropUnfinished takes the new database away; where it cannot, the journal corrects the sentence.",
  ],
  "agent/restore/load/loadArchive.ts": [
    [`${restoreTests}/restoreFaults.test.ts`, '"tight" was not touched'],
  ],
  "agent/restore/newDatabase.ts": [
    ["test/agent/runtime/journal.test.ts", "the database for the restore could not be made"],
  ],
  "agent/restore/plan.ts": [
    AFTER_PLAN,
    AFTER_PLAN,
    [`${restoreTests}/restoreChecks.test.ts`, "--role nobody: this server has no such role"],
  ],
  "agent/restore/properties/serverLocale.ts": [
    [`${restoreTests}/wholeDatabase.test.ts`, "--server-locale.*Nothing was changed"],
  ],
  "agent/restore/restoreReport.ts": ["A dry run returns before the first statement that writes."],
  "agent/restore/roles.ts": ["The roles are made in one transaction, which is rolled back."],
  "agent/runtime/confirm.ts": [BEFORE_ALL],
  "agent/runtime/journal.ts": [
    ["test/agent/runtime/stopped.test.ts", "nothing was stored or changed"],
  ],
  "agent/streams/process.ts": [
    ["test/agent/backup/backupFaults.test.ts", "pg_dump was killed"],
    "Both programs are waited for before the upload is completed; a failure aborts it.",
  ],
  "cli/commands/adopt.ts": [
    ["test/cli/commands/adopt.test.ts", "holds nothing but nightly"],
    ["test/cli/commands/adopt.test.ts", "assert.equal(await readFile(config"],
  ],
  "cli/commands/recover.ts": [
    ["test/cli/recovery/recover.test.ts", "is none of the numbers 1 to 5; nothing was changed"],
    ["test/cli/recovery/recover.test.ts", "interrupted; nothing was changed"],
    ["test/cli/recovery/recover.test.ts", "nothing was typed; nothing was changed"],
  ],
  "cli/restore/pull/givenServer.ts": [BEFORE_ALL, BEFORE_ALL],
  "cli/restore/restore.ts": [["test/cli/restore/restore.test.ts", "Dry run: every check"]],
  "cli/session/agentCall.ts": [READS],
  "cli/session/container.ts": [READS, READS],
  "cli/stack/pulumi.ts": [READS],
  "cli/terminal/confirm.ts": [
    ["test/cli/restore/restore.test.ts", "error: interrupted; nothing was changed"],
  ],
};

test("each place that says nothing was stored or changed has a proof of it", () => {
  const found: Record<string, number> = {};
  for (const file of globSync("{agent,cli,common,components,kamal,storage}/**/*.{ts,sh}")) {
    const code = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => !/^\s*(\/?\*|\/\/|#)/.test(line))
      // A pattern that looks for the words does not say them.
      .filter((line) => !line.includes("\\bnothing"));
    const claims = code.join("\n").match(CLAIM)?.length ?? 0;
    if (claims > 0) found[file] = claims;
  }
  const listed = Object.entries(PLACES).map(([file, proofs]) => [file, proofs.length]);
  assert.deepEqual(found, Object.fromEntries(listed));
});

test("the tests that prove it are there", () => {
  for (const proof of Object.values(PLACES).flat()) {
    if (typeof proof === "string") continue;
    const [file, words] = proof;
    assert(readFileSync(file, "utf8").includes(words), `${file} has no "${words}"`);
  }
});
