// tag: cloud
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { backupLifecycle } from "../../../storage/bucket/lifecycle.ts";
import { aliveKey, segmentKey } from "../../../storage/catalogue/pointInTimeKeys.ts";

describe("backupLifecycle", () => {
  const days = { days: 30, noncurrentDays: 14, abortDays: 2 };

  it("expires a folder, its old versions and markers, and unfinished uploads of the whole bucket", () => {
    assert.deepEqual(backupLifecycle({ prefix: "shop/production", ...days }), [
      { id: "expire", prefix: "shop/production/", expirationDays: 30, noncurrentDays: 14 },
      { id: "expired-markers", prefix: "shop/production/", expiredObjectDeleteMarker: true },
      { id: "abort-unfinished", prefix: "", abortIncompleteMultipartDays: 2 },
    ]);
  });

  it("covers the whole bucket when asked", () => {
    const prefixes = backupLifecycle({ prefix: "", ...days }).map(({ prefix }) => prefix);
    assert.deepEqual(prefixes, ["", "", ""]);
  });

  it("expires what point-in-time recovery stores below its own folders, for which the writer's key is too", () => {
    const pointInTime = { prefix: "shop/production", days: 29 };
    const rules = backupLifecycle({ prefix: "", ...days, pointInTime });
    const rest = { noncurrentDays: 14 };
    assert.deepEqual(
      rules.filter(({ id }) => id.startsWith("expire-pitr")),
      [
        { id: "expire-pitr", prefix: "shop/production/pitr/", expirationDays: 29, ...rest },
        {
          id: "expire-pitr-open",
          prefix: "shop/production/pitr-open/",
          expirationDays: 7,
          ...rest,
        },
      ],
    );
    const chain = "kpb_20261128t031502_9f3a1c";
    const [put] = writerPolicy({ bucket: "bkt", prefix: "shop/production", read: false }).Statement;
    const allowed = put?.Resource.replace("arn:aws:s3:::bkt/", "").replace("*", "") ?? "";
    const [kept, open] = [
      segmentKey("shop/production", chain, "0".repeat(24), { encryption: "age" }),
      aliveKey("shop/production", chain, "2026-11-28T02:00:03"),
    ];
    for (const [key, id] of [
      [kept, "expire-pitr"],
      [open, "expire-pitr-open"],
    ] as const) {
      assert.ok(key.startsWith(allowed), key);
      const matching = rules.filter(({ prefix }) => key.startsWith(prefix));
      assert.ok(matching.some((rule) => rule.id === id));
    }
    assert.throws(
      () => backupLifecycle({ prefix: "", ...days, pointInTime: { ...pointInTime, days: 0 } }),
      /^Problem: pointInTime\.days is 0/,
    );
  });

  it("refuses what is no number of days", () => {
    for (const name of ["days", "noncurrentDays", "abortDays"] as const) {
      for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        assert.throws(
          () => backupLifecycle({ prefix: "p", ...days, [name]: value }),
          (error: Error) => error.name === "Problem" && error.message.startsWith(`${name} is`),
        );
      }
    }
  });
});

describe("writerPolicy", () => {
  const actions = (read: boolean) =>
    writerPolicy({ bucket: "bkt", prefix: "p", read })
      .Statement.filter(({ Effect }) => Effect === "Allow")
      .flatMap(({ Action }) => Action);

  it("allows adding, and by choice reading, and nothing else", () => {
    const write = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    assert.deepEqual(actions(false), write);
    assert.deepEqual(actions(true), [...write, "s3:GetObject", "s3:ListBucket"]);
  });

  it("allows no upload with an encryption key of the caller's own", () => {
    const [put, ...others] = writerPolicy({ bucket: "bkt", prefix: "p", read: true }).Statement;
    assert.deepEqual(put?.Condition, {
      Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "true" },
    });
    assert.ok(others.every(({ Action }) => !Action.includes("s3:PutObject")));
  });

  it("takes a name or an ARN", () => {
    const resources = (bucket: string) =>
      writerPolicy({ bucket, prefix: "p", read: true }).Statement.map(({ Resource }) => Resource);
    assert.deepEqual(resources("bkt"), [
      "arn:aws:s3:::bkt/p/*",
      "arn:aws:s3:::bkt/p/*",
      "arn:aws:s3:::bkt/p/*",
      "arn:aws:s3:::bkt",
    ]);
    assert.deepEqual(resources("arn:aws-cn:s3:::bkt")[0], "arn:aws-cn:s3:::bkt/p/*");
  });
});
