// tag: cloud
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type * as Components from "../../../components/index.ts";
import { declare } from "../mocks.ts";

let components: typeof Components;
before(async () => {
  components = await import("../../../components/index.ts");
});

describe("what the proof of retention is told", () => {
  const lock = { mode: "governance", days: 5 } as const;
  const noncurrent = () => components.Retention.days(20);
  const tiers = () => components.Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });

  it("on AWS: tiers, versions, lock, transitions, prices' region", async () => {
    const transitions = [{ days: 30, storageClass: "STANDARD_IA" }];
    let keeping: unknown;
    await declare(false, () => {
      const bucket = new components.AwsBackupBucket("shop", {
        retention: tiers(),
        noncurrentRetention: noncurrent(),
        prefix: "shop",
        region: "eu-west-3",
        lock,
        transitions,
      });
      keeping = bucket.keeping;
      return [bucket.urn];
    });
    assert.deepEqual(keeping, {
      days: 7,
      tiers: { weekly: 35, monthly: 365 },
      noncurrentDays: 20,
      lockDays: 5,
      lockMode: "governance",
      transitions,
      provider: "AWS",
    });
  });

  it("elsewhere: no versions where there are none, nothing where nothing expires", async () => {
    const keepingWith = async (abilities: Components.S3CompatibleBucketArgs["abilities"]) => {
      let keeping: unknown;
      await declare(false, () => {
        const bucket = new components.S3CompatibleBucket("shop", {
          name: "shop-backups",
          endpoint: "https://s3.fr-par.scw.cloud",
          region: "fr-par",
          retention: tiers(),
          noncurrentRetention: noncurrent(),
          prefix: "shop",
          administrator: { accessKeyId: "SCWADMIN", secretAccessKey: "made-up" },
          ...(abilities && { abilities }),
        });
        keeping = bucket.keeping;
        return [bucket.urn];
      });
      return keeping;
    };
    const expected = {
      days: 7,
      tiers: { weekly: 35, monthly: 365 },
      noncurrentDays: 20,
      provider: "Scaleway",
    };
    assert.deepEqual(await keepingWith({}), expected);
    assert.deepEqual(await keepingWith({ versioning: "none" }), { ...expected, noncurrentDays: 0 });
    assert.equal(await keepingWith({ lifecycle: false }), undefined);
  });
});
