/**
 * Runs the tests, two files at a time: the journeys one after the other, because they share the sandbox, and beside them all
 * others. What a file prints appears when it has ended.
 * Words on the command line narrow it: `npm test -- storage` runs the files whose path contains the word, and
 * `npm test -- cloud` those of buckets, keys and retention, wherever they lie.
 */
import { globSync } from "node:fs";
import { text } from "node:stream/consumers";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Words for tests that lie in several folders; each part must occur in a path. */
const groups: Readonly<Record<string, readonly string[]>> = {
  cloud: [
    "agent/runtime/tls",
    "common/schedule.property",
    "components/bucket/",
    "engine/",
    "journeys/cloud/",
    "package.test",
    "providers/aws-",
    "storage/bucket/keyPermissions",
    "storage/bucket/lifecycleRules",
    "storage/address/providers",
    "storage/retention",
    "storage/bucket/rights",
    "storage/bucket/rules",
  ],
};

const all = globSync("test/**/*.test.ts");
const words = process.argv.slice(2).flatMap((word) => groups[word] ?? [word]);
const files = all
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .toSorted();
const gone = Object.values(groups)
  .flat()
  .find((part) => !all.some((file) => file.includes(part)));
if (gone !== undefined) {
  console.error(`test/run.ts: no test file matches ${gone}, which a group names`);
  process.exit(2);
}
if (files.length === 0) {
  console.error(
    `no test file matches ${words.join(" ")}; the folders of test/ are the words to choose from`,
  );
  process.exit(2);
}
const journeys = files.filter((file) => file.startsWith("test/journeys/"));
const others = files.filter((file) => !journeys.includes(file));

const count = { passed: 0, failed: 0, skipped: 0 };

async function runFile(file: string): Promise<void> {
  const stream = run({ files: [file], timeout: 20 * 60_000 });
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") return;
    count[event.skip !== undefined || event.todo !== undefined ? "skipped" : "passed"] += 1;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type !== "suite") count.failed += 1;
  });
  process.stdout.write(await text(stream.compose(spec())));
}

/** Takes file after file, from the first list as long as it has one. */
async function runLane(...lists: string[][]): Promise<void> {
  for (;;) {
    const file = lists.find((list) => list.length > 0)?.shift();
    if (file === undefined) return;
    await runFile(file);
  }
}

await Promise.all([runLane(journeys, others), runLane(others)]);
console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exit(count.failed === 0 ? 0 : 1);
