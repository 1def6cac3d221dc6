import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare, overhear } from "../mocks.ts";

const app = applied();

type Changes = Partial<Components.PostgresBackupArgs>;

/** What is said about the memory. */
async function said(changes: Changes, preview = true): Promise<string[]> {
  const all = await overhear(() => declare(preview, () => [app.backup(changes).outputs]));
  return all.filter((line) => line.startsWith("memory"));
}

const GB = 1e9;
const at = (endpoint: string, name = "shop-backups"): Components.ExistingBucket => ({
  name,
  endpoint,
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: "the-secret-key",
});
const scaleway = at("https://s3.fr-par.scw.cloud");

describe("two parts that do not fit into the memory are said at preview", () => {
  const table: readonly [string, Changes, RegExp | undefined][] = [
    ["no size is known", {}, undefined],
    ["600 GB on AWS", { backupBytes: 120 * GB }, undefined],
    [
      "2 TB on AWS",
      { backupBytes: 400 * GB },
      /^memory "256m" .* 2000\.0 GB.* two parts of 255 MiB for AWS.* 600 MiB in all\. Give at least memory: "640m"\.$/,
    ],
    ["2 TB on AWS, with enough", { backupBytes: 400 * GB, memory: "640m" }, undefined],
    ["2 TB on AWS, with no limit", { backupBytes: 400 * GB, memory: "0" }, undefined],
    ["60 GB at Scaleway", { backupBytes: 12 * GB, bucket: scaleway }, undefined],
    [
      "100 GB at Scaleway",
      { backupBytes: 20 * GB, bucket: scaleway },
      /two parts of 128 MiB for Scaleway.* "384m"\.$/,
    ],
    [
      "60 GB at Scaleway and a copy there, where each alone would fit",
      {
        backupBytes: 12 * GB,
        bucket: scaleway,
        copy: { bucket: at("https://s3.fr-par.scw.cloud", "shop-copies") },
      },
      /two parts of 77 MiB for Scaleway and two of 77 MiB for Scaleway.* "448m"\.$/,
    ],
  ];
  for (const [what, changes, sentence] of table) {
    test(what, async () => {
      const [line, ...more] = await said(changes);
      assert.deepEqual(more, []);
      if (sentence === undefined) assert.equal(line, undefined);
      else assert.match(line ?? "", sentence);
    });
  }

  test("and not again when the preview is carried out", async () => {
    assert.deepEqual(await said({ backupBytes: 400 * GB }, false), []);
  });
});

for (const memory of ["256m", "1g", "1.5g", "512 MB", "512MiB", "268435456", "262144k"]) {
  test(`a size: ${memory}`, async () => {
    assert.deepEqual(await said({ memory }), []);
  });
}

for (const memory of ["", "lots", "256 megabytes", "-1", "256x", "256mm"]) {
  test(`refused: memory "${memory}"`, () =>
    assert.rejects(said({ memory }), {
      message: `memory "${memory}" is no size that Docker takes. Give a number with its unit, for instance "256m" or "1g".`,
    }));
}
