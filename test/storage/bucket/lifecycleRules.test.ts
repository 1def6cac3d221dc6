// tag: cloud

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LifecycleRule as ServiceRule } from "@aws-sdk/client-s3";
import { all } from "../../../storage/address/providerCapabilities.ts";
import { aws, providers, software } from "../../../storage/address/providers.ts";
import { planBucket } from "../../../storage/bucket/bucketFeatures.ts";
import {
  bucketPolicy,
  mergePolicy,
  ownPolicy,
  samePolicy,
} from "../../../storage/bucket/bucketPolicy.ts";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { backupLifecycle } from "../../../storage/bucket/lifecycle.ts";
import { conflicts, isOwn, mergeRules, ownedBy } from "../../../storage/bucket/lifecycleMerge.ts";
import { fromService, rulesFor, toService } from "../../../storage/bucket/lifecycleTranslation.ts";
import { checkLock, lockNotice, type ObjectLock } from "../../../storage/bucket/objectLock.ts";

const isProblem = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "Problem");
  assert.match(error.message, message);
  return true;
};

describe("bucketPolicy", () => {
  const document = (changes: object = {}) =>
    bucketPolicy({ bucket: "bkt", prefix: "", tlsOnly: true, denyOverwrite: true, ...changes });

  it("is this document", () => {
    const deny = { Effect: "Deny", Principal: "*" };
    const put = { ...deny, Action: "s3:PutObject", Resource: "arn:aws:s3:::bkt/*" };
    assert.deepEqual(document(), {
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "KamalPostgresBackupTlsOnly",
          ...deny,
          Action: "s3:*",
          Resource: ["arn:aws:s3:::bkt", "arn:aws:s3:::bkt/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
        {
          Sid: "KamalPostgresBackupNoCustomerKeys",
          ...put,
          Condition: { Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "false" } },
        },
        {
          // Without the second condition the beginning of an upload and its parts, which cannot carry the question,
          // would be refused too.
          Sid: "KamalPostgresBackupOnlyNewKeys",
          ...put,
          Condition: {
            Null: { "s3:if-none-match": "true" },
            Bool: { "s3:ObjectCreationOperation": "true" },
          },
        },
      ],
    });
  });

  it("leaves out what is not wanted", () => {
    const sids = (changes: object) => document(changes).Statement.map(({ Sid }) => Sid.slice(19));
    assert.deepEqual(sids({ tlsOnly: false }), ["NoCustomerKeys", "OnlyNewKeys"]);
    assert.deepEqual(sids({ denyOverwrite: false }), ["TlsOnly", "NoCustomerKeys"]);
  });

  it("judges uploads to the folder alone, in any partition", () => {
    const [, keys] = document({ bucket: "arn:aws-cn:s3:::bkt", prefix: "shop" }).Statement;
    assert.equal(keys?.Resource, "arn:aws-cn:s3:::bkt/shop/*");
  });
});

describe("policies of several owners", () => {
  const ours = JSON.stringify(
    bucketPolicy({ bucket: "bkt", prefix: "", tlsOnly: true, denyOverwrite: false }),
  );
  const theirs = { Sid: "Reports", Effect: "Allow", Principal: "*", Action: "s3:GetObject" };
  const found = JSON.stringify({ Version: "2012-10-17", Id: "kept", Statement: theirs });

  it("merges ours in, finds them again, and takes them out", () => {
    const merged = mergePolicy(found, ours);
    assert.deepEqual(JSON.parse(merged ?? ""), {
      Version: "2012-10-17",
      Id: "kept",
      Statement: [theirs, ...JSON.parse(ours).Statement],
    });
    assert.ok(samePolicy(ownPolicy(merged) ?? "{}", ours));
    assert.equal(mergePolicy(merged, ours), merged);
    assert.deepEqual(JSON.parse(mergePolicy(merged, undefined) ?? "").Statement, [theirs]);
    assert.equal(mergePolicy(ours, undefined), undefined);
    assert.equal(ownPolicy(found), undefined);
    assert.equal(ownPolicy(undefined), undefined);
  });

  it("knows two spellings of one policy, and no more", () => {
    const respelt = JSON.stringify({
      Statement: JSON.parse(ours).Statement.toReversed(),
      Version: "2012-10-17",
    }).replace('"arn:aws:s3:::bkt/*"', '["arn:aws:s3:::bkt/*"]');
    assert.ok(samePolicy(ours, respelt));
    assert.ok(!samePolicy(ours, respelt.replace("Deny", "Allow")));
  });
});

describe("backupLifecycle", () => {
  const base = { prefix: "shop", days: 14, noncurrentDays: 7, abortDays: 2 };

  it("expires the records of restores and drills too, as late as the last backup that they may be about", () => {
    const daysOf = (settings: typeof base & { tiers?: { weekly: number; monthly: number } }) =>
      backupLifecycle(settings)
        .filter(({ prefix }) => `${settings.prefix}/drills/x.drill.json`.startsWith(prefix))
        .flatMap(({ expirationDays }) => expirationDays ?? []);
    assert.deepEqual(daysOf(base), [14]);
    assert.deepEqual(daysOf({ ...base, tiers: { weekly: 35, monthly: 365 } }), [365]);
  });
  const tiers = { weekly: 60, monthly: 365 };

  it("has one rule for each tier, and the longest for what lies beside them", () => {
    const rules = backupLifecycle({ ...base, tiers });
    assert.deepEqual(
      rules.map(({ id, prefix, expirationDays }) => [id, prefix, expirationDays]),
      [
        ["expire", "shop/", 365],
        ["expire-daily", "shop/daily/", 14],
        ["expire-weekly", "shop/weekly/", 60],
        ["expire-monthly", "shop/monthly/", 365],
        ["expire-suspect", "shop/suspect/", 14],
        ["expired-markers", "shop/", undefined],
        ["abort-unfinished", "", undefined],
      ],
    );
  });

  it("moves to a storage class what lives long enough for it", () => {
    const move = { days: 30, storageClass: "STANDARD_IA" };
    const rules = backupLifecycle({ ...base, tiers, transitions: [move] });
    assert.deepEqual(
      rules.filter(({ transitions }) => transitions).map(({ id }) => id),
      ["expire", "expire-weekly", "expire-monthly"],
    );
  });

  const refused: [object, RegExp][] = [
    [{ tiers: { weekly: 10, monthly: 365 } }, /daily backups are kept 14 days, weekly 10/],
    [{ tiers: { weekly: 60, monthly: 30 } }, /weekly 60, monthly 30/],
    [{ tiers: { weekly: 0, monthly: 30 } }, /^tiers\.weekly is 0/],
    [{ transitions: [{ days: 14, storageClass: "GLACIER" }] }, /GLACIER after 14 days never/],
    [{ transitions: [{ days: 0, storageClass: "GLACIER" }] }, /^transitions\[0\]\.days is 0/],
  ];
  for (const [change, message] of refused) {
    it(`refuses ${JSON.stringify(change)}`, () => {
      assert.throws(() => backupLifecycle({ ...base, ...change }), isProblem(message));
    });
  }
});

describe("lifecycle rules of several owners", () => {
  const owner = "contract-test-shop";
  const ours = ownedBy(
    owner,
    backupLifecycle({
      prefix: "shop",
      days: 30,
      noncurrentDays: 14,
      abortDays: 2,
      transitions: [{ days: 10, storageClass: "GLACIER" }],
    }),
  );
  const expiring = (Days: number, Prefix: string, more: Partial<ServiceRule> = {}) =>
    ({
      ID: "theirs",
      Status: "Enabled",
      Filter: { Prefix },
      Expiration: { Days },
      ...more,
    }) as const;

  it("go to the service and back unchanged", () => {
    assert.deepEqual(ours.map(toService).map(fromService), ours);
  });

  it("that are off, or for tagged or large objects only, are none of ours", () => {
    const [rule] = ours.map(toService);
    assert.ok(rule);
    for (const change of [
      { Status: "Disabled" as const },
      { Filter: { Tag: { Key: "a", Value: "b" } } },
      { Filter: { And: { Prefix: "shop/", ObjectSizeGreaterThan: 1 } } },
    ]) {
      assert.equal(fromService({ ...rule, ...change }).expirationDays, undefined);
    }
  });

  it("are read where the prefix stands beside the filter", () => {
    const { Filter: _, ...rule } = expiring(3, "");
    assert.equal(fromService({ ...rule, Prefix: "shop/" }).prefix, "shop/");
  });

  it("stay apart by owner, even when one name begins like another", () => {
    const [rule] = ours;
    assert.ok(isOwn(owner, rule?.id));
    assert.ok(!isOwn("contract-test-sho", rule?.id));
    assert.ok(!isOwn("test-shop", rule?.id));
    assert.ok(!isOwn(owner, owner));
    assert.ok(!isOwn(owner, undefined));
  });

  it("merge: theirs stay, our former ones go", () => {
    const former = toService({
      id: `expire-daily@${owner}`,
      prefix: "shop/daily/",
      expirationDays: 9,
    });
    const merged = mergeRules([expiring(90, "logs/"), former], owner, ours);
    assert.deepEqual(
      merged.map(({ ID }) => ID),
      ["theirs", ...ours.map(({ id }) => id)],
    );
    assert.deepEqual(mergeRules(merged, owner, []), [expiring(90, "logs/")]);
  });

  const judged: [string, ServiceRule, string[]][] = [
    [
      "the whole bucket sooner",
      expiring(3, ""),
      ['rule "theirs" expires backups after 3 of 30 days'],
    ],
    [
      "a folder within ours sooner",
      expiring(3, "shop/app_"),
      ['rule "theirs" expires backups after 3 of 30 days'],
    ],
    [
      "on a date",
      { ...expiring(1, ""), Expiration: { Date: new Date() } },
      ['rule "theirs" expires backups on a fixed date'],
    ],
    ["later than ours", expiring(30, ""), []],
    ["another folder", expiring(3, "logs/"), []],
    ["a folder that only begins alike", expiring(3, "shop-logs/"), []],
    ["switched off", expiring(3, "", { Status: "Disabled" }), []],
  ];
  for (const [what, rule, expected] of judged) {
    it(`a rule of theirs for ${what}`, () => {
      assert.deepEqual(conflicts([rule, ...ours.map(toService)], owner, ours), expected);
    });
  }
});

describe("abilities", () => {
  const rules = backupLifecycle({ prefix: "", days: 30, noncurrentDays: 14, abortDays: 2 });
  const row = (name: string) => {
    const found = [...providers, ...Object.values(software)].find((p) => p.name === name);
    assert.ok(found, name);
    return found.buckets;
  };

  it("decide which rules are asked for", () => {
    assert.deepEqual(rulesFor(all, rules), rules);
    assert.deepEqual(rulesFor(row("Cloudflare R2"), rules), [
      { id: "expire", prefix: "", expirationDays: 30 },
      { id: "abort-unfinished", prefix: "", abortIncompleteMultipartDays: 2 },
    ]);
    assert.deepEqual(
      rulesFor(row("MinIO"), rules).map(({ id }) => id),
      ["expire", "expired-markers"],
    );
    assert.deepEqual(rulesFor(row("OVHcloud"), rules), []);
  });

  /** For each provider: what is asked beside the bucket, and the beginnings of what is said. */
  const plans: Record<string, [asked: string, said: RegExp[]]> = {
    AWS: ["lifecycle versioning policy publicAccessBlock", []],
    Scaleway: ["lifecycle versioning", []],
    "DigitalOcean Spaces": [
      "lifecycle versioning",
      [/^on DigitalOcean Spaces a stolen key can delete backups, .* Keep a second copy/],
    ],
    Hetzner: [
      "lifecycle versioning policy",
      [/^on Hetzner a stolen key can delete backups, .* Turn on lock/],
    ],
    "Cloudflare R2": [
      "lifecycle",
      [/^Cloudflare R2 keeps no old versions/, /a stolen key can delete .* bucket lock rule/],
    ],
    "Backblaze B2": ["lifecycle", [/a stolen key can hide backups, .* deleteFiles/]],
    Wasabi: ["lifecycle versioning policy", []],
    OVHcloud: ["versioning", [/^OVHcloud has no expiry rules: nothing removes old backups/]],
    Linode: ["lifecycle versioning policy", [/a stolen key can delete .* second copy/]],
    Exoscale: ["lifecycle versioning", []],
    IONOS: ["lifecycle versioning policy", []],
    Vultr: ["lifecycle versioning", [/a stolen key can delete .* second copy/]],
    Tigris: [
      "lifecycle",
      [/^Tigris takes no rule for unfinished uploads/, /^Tigris keeps no old versions/],
    ],
    Ceph: ["lifecycle versioning policy publicAccessBlock", []],
    Garage: ["lifecycle", [/^Garage keeps no old versions/, /a stolen key can delete/]],
    MinIO: ["lifecycle versioning policy", [/^MinIO takes no rule for unfinished uploads/]],
    SeaweedFS: ["lifecycle versioning policy publicAccessBlock", []],
  };
  for (const [name, [asked, said]] of Object.entries(plans)) {
    it(`of ${name}`, () => {
      const { warnings, ...plan } = planBucket(name, row(name), { lock: false });
      const wanted = Object.entries(plan).filter(([, is]) => is);
      assert.equal(wanted.map(([what]) => what).join(" "), asked);
      assert.equal(warnings.length, said.length, warnings.join("\n"));
      for (const [i, words] of said.entries()) assert.match(warnings[i] ?? "", words);
    });
  }

  it("have a case for each row", () => {
    const names = [...providers, ...Object.values(software)].map(({ name }) => name);
    assert.deepEqual(new Set(names), new Set(Object.keys(plans)));
  });

  it("a lock answers for the stolen key, or is refused", () => {
    assert.deepEqual(planBucket("Hetzner", row("Hetzner"), { lock: true }).warnings, []);
    assert.throws(
      () => planBucket("Hetzner", row("Hetzner"), { lock: false, tags: true }),
      isProblem(/^tags: Hetzner has no tags for buckets\. Leave tags out/),
    );
    assert.throws(
      () => planBucket("Cloudflare R2", row("Cloudflare R2"), { lock: true }),
      isProblem(/^lock: Cloudflare R2 has no Object Lock\. .*bucket lock rule/),
    );
  });
});

describe("lock", () => {
  it("takes what is meant", () => {
    checkLock({ mode: "governance", days: 30 }, 30);
    checkLock({ mode: "compliance", days: 14, acceptCompliance: true }, 30);
  });

  const refused: [object, RegExp][] = [
    [{ mode: "compliance", days: 14 }, /nobody can delete .* Set acceptCompliance: true/],
    [{ mode: "governance", days: 31 }, /expire after 30 days, but would stay locked for 31/],
    [{ mode: "governance", days: 0 }, /^lock\.days is 0/],
    [{ mode: "governance", days: 1.5 }, /^lock\.days is 1\.5/],
  ];
  for (const [lock, message] of refused) {
    it(`refuses ${JSON.stringify(lock)}`, () => {
      assert.throws(() => checkLock(lock as ObjectLock, 30), isProblem(message));
    });
  }

  it("says what compliance costs", () => {
    const notice = lockNotice({ mode: "compliance", days: 14, acceptCompliance: true });
    assert.match(notice ?? "", /billed for 14 days/);
    assert.equal(lockNotice({ mode: "governance", days: 14 }), undefined);
  });
});

describe("writerPolicy with a KMS key", () => {
  it("may use that key and no other", () => {
    const kmsKey = "arn:aws:kms:eu-west-3:111122223333:key/4f2a";
    const { Statement } = writerPolicy({ bucket: "bkt", prefix: "p", read: false, kmsKey });
    assert.deepEqual(Statement.at(-1), {
      Sid: "Encrypt",
      Effect: "Allow",
      Action: ["kms:GenerateDataKey", "kms:Decrypt"],
      Resource: kmsKey,
    });
  });
});

it("AWS sends a checksum by itself, as a lock demands", () => {
  assert.equal(aws.checksums, "when-supported");
});
