import { isDeepStrictEqual } from "node:util";
import {
  DeleteBucketLifecycleCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  type TransitionDefaultMinimumObjectSize,
} from "@aws-sdk/client-s3";
import type { BucketLifecycleConfigurationArgs } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import type { UnwrappedObject } from "@pulumi/pulumi";
import { CheckFailure, type Resource } from "../resource.ts";
import { isObject, type Props, type Value } from "../values.ts";
import { doing, region, s3, unless } from "./service.ts";
import { asWritten, fromService, normal, toService } from "./spelling.ts";

type Inputs = UnwrappedObject<BucketLifecycleConfigurationArgs>;

export const bucketLifecycleConfiguration: Resource<Inputs> = {
  type: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  computed: ["region", "transitionDefaultMinimumObjectSize"],
  replacedBy: ["bucket", "expectedBucketOwner", "region"],
  equal: { rules: (before, after) => isDeepStrictEqual(normalRules(before), normalRules(after)) },

  check(news) {
    for (const rule of Array.isArray(news["rules"]) ? news["rules"] : []) {
      const expiration = isObject(rule) ? rule["expiration"] : undefined;
      if (!isObject(expiration)) continue;
      // Refused by S3 itself; some services take it and then delete nothing.
      if (expiration["days"] !== undefined && expiration["expiredObjectDeleteMarker"] === true) {
        throw new CheckFailure(
          "rules",
          "expiration.days and expiration.expiredObjectDeleteMarker cannot share one rule",
        );
      }
    }
    return news;
  },

  async create(inputs) {
    return { id: inputs.bucket, outputs: await write(inputs) };
  },

  async read(bucket, state) {
    const found = await unless(["NoSuchBucket", "NoSuchLifecycleConfiguration"], () =>
      s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket })),
    );
    if (found === undefined || (found.Rules ?? []).length === 0) return undefined;
    const minimum = found.TransitionDefaultMinimumObjectSize ?? "all_storage_classes_128K";
    return {
      inputs: {
        bucket,
        rules: likeWritten(state["rules"], fromService(found.Rules) as Value[]),
        transitionDefaultMinimumObjectSize: minimum,
      },
      outputs: { region, transitionDefaultMinimumObjectSize: minimum },
    };
  },

  update(_bucket, news) {
    return write(news);
  },

  async delete(bucket) {
    await doing(`deleting S3 Bucket Lifecycle Configuration (${bucket})`, () =>
      unless(["NoSuchBucket"], () => s3.send(new DeleteBucketLifecycleCommand({ Bucket: bucket }))),
    );
  },
};

async function write(inputs: Inputs): Promise<Props> {
  const minimum = inputs.transitionDefaultMinimumObjectSize ?? "all_storage_classes_128K";
  const rules = toService((inputs.rules ?? []) as unknown as Value) as LifecycleRule[];
  await doing(`putting S3 Bucket Lifecycle Configuration (${inputs.bucket})`, () =>
    s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: inputs.bucket,
        TransitionDefaultMinimumObjectSize: minimum as TransitionDefaultMinimumObjectSize,
        // A rule without a filter means every object; S3 wants that said as an empty prefix.
        LifecycleConfiguration: {
          Rules: rules.map((rule) =>
            rule.Prefix === undefined && Object.keys(rule.Filter ?? {}).length === 0
              ? { ...rule, Filter: { Prefix: "" } }
              : rule,
          ),
        },
      }),
    ),
  );
  return { region, transitionDefaultMinimumObjectSize: minimum };
}

/** Rules as they mean: services give them back in an order of their own. */
function normalRules(rules: Value): Value[] {
  const normalised = Array.isArray(rules) ? rules.map((rule) => normal(rule) ?? {}) : [];
  return normalised.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** The rules found, in the order and spelling of the program's, so that a difference shows at the rule that changed. */
function likeWritten(written: Value | undefined, found: readonly Value[]): Value[] {
  const known = (Array.isArray(written) ? written : []).flatMap((rule) => {
    const now = found.find((other) => idOf(other) === idOf(rule));
    return now === undefined ? [] : [{ id: idOf(rule), rule: asWritten(rule, now) }];
  });
  const foreign = found.filter((rule) => !known.some(({ id }) => id === idOf(rule)));
  return [...known.map(({ rule }) => rule), ...foreign];
}

function idOf(rule: Value): string {
  return isObject(rule) ? String(rule["id"]) : "";
}
