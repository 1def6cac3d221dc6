import * as pulumi from "@pulumi/pulumi";
import { parseAddress, type StoreAddress } from "../../storage/address/address.ts";
import type { BucketAbilities } from "../../storage/address/providerCapabilities.ts";
import { software } from "../../storage/address/providers.ts";
import { type BucketPlan, planBucket } from "../../storage/bucket/bucketFeatures.ts";
import { bucketPolicy } from "../../storage/bucket/bucketPolicy.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { ownedBy } from "../../storage/bucket/lifecycleS3.ts";
import { lockNotice, type ObjectLock } from "../../storage/bucket/objectLock.ts";
import type { S3Connection } from "../internal/s3Connection.ts";
import { settleRules } from "./bucketArgs.ts";
import type { S3CompatibleBucketArgs, S3Keys } from "./s3CompatibleBucketArgs.ts";

/** Public access is refused whatever a policy says. */
export const nothingPublic = {
  blockPublicAcls: true,
  blockPublicPolicy: true,
  ignorePublicAcls: true,
  restrictPublicBuckets: true,
} as const;

/** The rules under the name of this component of this stack, so that they are known among those of others. */
export function ownRules(name: string, rules: readonly LifecycleRule[]) {
  const owner = `${pulumi.getProject()}-${pulumi.getStack()}-${name}`;
  return { owner, rules: ownedBy(owner, rules), conflicts: [] };
}

/** What is known before anything is made. */
export interface Settled {
  readonly address: StoreAddress;
  readonly abilities: BucketAbilities;
  readonly plan: BucketPlan;
  readonly rules: readonly LifecycleRule[];
}

/** @throws Problem that names the argument */
export function settle(args: S3CompatibleBucketArgs): Settled {
  const { endpoint, region, service, allowInsecure, adopt, lock } = args;
  // The bucket as a whole is set up; its folder matters to the rules only.
  const found = parseAddress({
    endpoint,
    region,
    bucket: args.name,
    prefix: "settings",
    allowInsecure,
  });
  const provider = service === undefined ? found.provider : software[service];
  const abilities = { ...provider.buckets, ...args.abilities };
  return {
    address: { ...found, provider },
    abilities,
    plan: planBucket(provider.name, abilities, {
      lock: lock !== undefined,
      tags: args.tags !== undefined,
    }),
    rules: settleRules(args, adopt === true ? "adopt" : undefined),
  };
}

/** What the preview has to say, one sentence each. */
export function warningsOf(args: S3CompatibleBucketArgs, address: StoreAddress, plan: BucketPlan) {
  const notice = args.lock && lockNotice(args.lock);
  return [
    ...address.notices,
    ...plan.warnings,
    ...(notice === undefined ? [] : [notice]),
    ...(args.writer === undefined
      ? [
          "writer: the container gets the administrator's keys, so whoever steals its host can delete every backup and the bucket. Make a second pair of keys that may only add, list and read, and give it as writer.",
        ]
      : []),
  ];
}

/** How the bucket is reached by whoever sets it up. Secret. */
export function connect(
  args: S3CompatibleBucketArgs,
  address: StoreAddress,
): pulumi.Output<S3Connection> {
  const { accessKeyId, secretAccessKey } = args.administrator;
  const connection = pulumi.all([accessKeyId, secretAccessKey]).apply(
    ([id, secret]): S3Connection => ({
      ...(address.endpoint !== undefined && { endpoint: address.endpoint }),
      region: address.region,
      bucket: address.bucket,
      ...(args.service !== undefined && { service: args.service }),
      allowInsecure: args.allowInsecure ?? false,
      accessKeyId: id,
      secretAccessKey: secret,
    }),
  );
  return pulumi.secret(connection);
}

/** Overwriting is not refused here: no service but AWS is known to judge `If-None-Match` in a policy. */
export function policyText({ prefix = "" }: S3CompatibleBucketArgs, address: StoreAddress): string {
  const tlsOnly = address.endpoint?.startsWith("http:") !== true;
  return JSON.stringify(
    bucketPolicy({ bucket: address.bucket, prefix, tlsOnly, denyOverwrite: false }),
  );
}

/** Mode of the lock in the words of the S3 API. */
export function modeOf({ mode }: ObjectLock): "GOVERNANCE" | "COMPLIANCE" {
  return mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE";
}

/** Keys as outputs, the secret one marked. */
export function secretKeys({ accessKeyId, secretAccessKey }: S3Keys) {
  return {
    accessKeyId: pulumi.output(accessKeyId),
    secretAccessKey: pulumi.secret(secretAccessKey),
  };
}
