/**
 * Runs the tests: first those of the rooms, then the journeys, one at a time, because they share the sandbox.
 * Words on the command line narrow it: `npm test -- storage` runs the files whose path contains the word, and
 * `npm test -- cloud` those of buckets, keys and retention, wherever they lie.
 */
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Words for tests that lie in several folders; each part must occur in a path. */
const groups: Readonly<Record<string, readonly string[]>> = {
  cloud: [
    "/cloud-",
    "components/backupKeys",
    "components/bucketKeeping",
    "components/keyProbe",
    "journeys/03-writerKey",
    "journeys/06-existingBucket",
    "package.test",
    "providers/aws-",
    "storage/keyRights",
    "storage/providers",
    "storage/retentionProof",
    "storage/rights",
    "storage/rules",
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
const rooms = files.filter((file) => !file.startsWith("test/journeys/"));

let passed = 0;
let failed = 0;
let skipped = 0;

async function runAll(batch: readonly string[], concurrency: number): Promise<void> {
  if (batch.length === 0) return;
  const stream = run({ files: [...batch], concurrency, timeout: 20 * 60_000 });
  stream.on("test:pass", (event) => {
    if (event.details.type === "suite") return;
    if (event.skip !== undefined || event.todo !== undefined) skipped += 1;
    else passed += 1;
  });
  stream.on("test:fail", (event) => {
    if (event.details.type !== "suite") failed += 1;
  });
  for await (const chunk of stream.compose(spec())) process.stdout.write(chunk);
}

await runAll(rooms, 2);
await runAll(journeys, 1);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 ? 0 : 1);
