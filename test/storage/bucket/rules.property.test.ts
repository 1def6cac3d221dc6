// tag: cloud

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
  type LifecycleRule as ServiceRule,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { mergePolicy, ownPolicy, samePolicy } from "../../../storage/bucket/bucketPolicy.ts";
import { backupLifecycle } from "../../../storage/bucket/lifecycle.ts";
import { isOwn, mergeRules, ownedBy } from "../../../storage/bucket/lifecycleMerge.ts";
import { fromService, toService } from "../../../storage/bucket/lifecycleTranslation.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const count = fc.integer({ min: 1, max: 400 });

/** The rules of a component, as any settings make them. */
const ours = fc
  .record({
    prefix: fc.oneof(
      fc.constant(""),
      word,
      fc.tuple(word, word).map((parts) => parts.join("/")),
    ),
    terms: fc.tuple(count, count, count).map((terms) => terms.toSorted((a, b) => a - b)),
    tiered: fc.boolean(),
    noncurrentDays: count,
    abortDays: count,
    classes: fc.uniqueArray(fc.constantFrom("STANDARD_IA", "GLACIER", "DEEP_ARCHIVE")),
  })
  .map(({ prefix, terms, tiered, noncurrentDays, abortDays, classes }) => {
    const [days = 1, weekly = 1, monthly = 1] = terms;
    const longest = tiered ? monthly : days;
    return backupLifecycle({
      prefix,
      days,
      noncurrentDays,
      abortDays,
      ...(tiered && { tiers: { weekly, monthly } }),
      ...(longest > 1 && {
        transitions: classes.map((storageClass) => ({ days: 1, storageClass })),
      }),
    });
  });

const owner = fc.tuple(word, word, word).map((parts) => parts.join("-"));

/** A rule of somebody else: by a name of their own, of another owner's component, or without one. */
const foreign: fc.Arbitrary<ServiceRule> = fc.record(
  {
    ID: fc.oneof(
      word,
      fc.tuple(word, word).map(([id, other]) => `${id}@foreign-${other}`),
      fc.constant("@"),
    ),
    Status: fc.constantFrom("Enabled" as const, "Disabled" as const),
    Filter: fc.oneof(
      word.map((Prefix) => ({ Prefix })),
      word.map((Value) => ({ Tag: { Key: "keep", Value } })),
      word.map((Prefix) => ({ And: { Prefix, ObjectSizeGreaterThan: 9 } })),
    ),
    Expiration: fc.record({ Days: count }),
    Transitions: fc.constant([{ Days: 1, StorageClass: "GLACIER" as const }]),
  },
  { requiredKeys: ["Status"] },
);

/** A service that keeps the document of the lifecycle as it is sent, and sends it back. */
function keepingService(): { readonly client: S3Client; readonly document: () => string } {
  let document = "";
  const requestHandler = {
    handle: async (request: { readonly method: string; readonly body?: unknown }) => {
      if (request.method === "PUT") document = String(request.body);
      const body = Readable.from(request.method === "PUT" ? [] : [Buffer.from(document)]);
      return { response: { statusCode: 200, headers: {}, body } };
    },
  };
  const credentials = { accessKeyId: "A", secretAccessKey: "S" };
  return {
    client: new S3Client({ region: "x", credentials, requestHandler }),
    document: () => document,
  };
}

describe("for any rules in a bucket", () => {
  it("ours go out as the XML of the S3 API, and come back from it unchanged", async () => {
    const { client, document } = keepingService();
    const Bucket = "backups";
    await fc.assert(
      fc.asyncProperty(ours, async (rules) => {
        const LifecycleConfiguration = { Rules: rules.map(toService) };
        await client.send(
          new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }),
        );
        assert.match(document(), /<LifecycleConfiguration xmlns="[^"]+"><Rule>/);
        const { Rules = [] } = await client.send(
          new GetBucketLifecycleConfigurationCommand({ Bucket }),
        );
        assert.deepEqual(Rules.map(fromService), rules);
      }),
    );
  });

  it("ours go to the service and back unchanged", () => {
    fc.assert(
      fc.property(ours, (rules) => {
        assert.deepEqual(rules.map(toService).map(fromService), rules);
      }),
    );
  });

  it("a merge leaves those of others as they are and in their order, however often ours change", () => {
    const changes = fc.array(ours, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(foreign), owner, changes, (theirs, name, history) => {
        let bucket: ServiceRule[] = theirs;
        for (const rules of history) {
          bucket = mergeRules(bucket, name, ownedBy(name, rules));
          assert.deepEqual(
            bucket.filter(({ ID }) => !isOwn(name, ID)),
            theirs,
          );
          const own = bucket.filter(({ ID }) => isOwn(name, ID)).map(fromService);
          assert.deepEqual(own, ownedBy(name, rules));
          assert.deepEqual(mergeRules(bucket, name, ownedBy(name, rules)), bucket);
        }
        assert.deepEqual(mergeRules(bucket, name, []), theirs);
      }),
    );
  });

  it("two components in one bucket never touch each other's", () => {
    fc.assert(
      fc.property(owner, owner, ours, ours, (first, second, ofFirst, ofSecond) => {
        fc.pre(first !== second);
        const one = mergeRules([], first, ownedBy(first, ofFirst));
        const both = mergeRules(one, second, ownedBy(second, ofSecond));
        assert.equal(both.length, ofFirst.length + ofSecond.length);
        assert.deepEqual(mergeRules(both, second, []), one);
      }),
    );
  });
});

const statement = fc.record({
  Sid: word,
  Effect: fc.constantFrom("Allow", "Deny"),
  Principal: fc.constant("*"),
  Action: fc.oneof(word, fc.array(word, { minLength: 1 })),
});

describe("for any policy of a bucket", () => {
  it("our statements come and go, and those of others stay", () => {
    const mine = fc
      .array(word, { minLength: 1, maxLength: 3 })
      .map((names) => names.map((name) => ({ Sid: `KamalPostgresBackup${name}`, Effect: "Deny" })));
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1 }), mine, (theirs, own) => {
        const text = (Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
        const merged = mergePolicy(text(theirs), text(own));
        assert.ok(samePolicy(ownPolicy(merged) ?? "{}", text(own)));
        assert.equal(mergePolicy(merged, text(own)), merged);
        assert.equal(mergePolicy(merged, undefined), text(theirs));
      }),
    );
  });
});
