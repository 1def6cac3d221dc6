import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { bucketPolicy } from "../../storage/bucket/bucketPolicy.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import type { ObjectLock } from "../../storage/bucket/objectLock.ts";

/** A lifecycle rule in the words of the AWS provider. */
export function toAwsRule(
  rule: LifecycleRule,
): aws.types.input.s3.BucketLifecycleConfigurationRule {
  return {
    id: rule.id,
    status: "Enabled",
    filter: rule.prefix === "" ? {} : { prefix: rule.prefix },
    ...(rule.expirationDays !== undefined && { expiration: { days: rule.expirationDays } }),
    ...(rule.expiredObjectDeleteMarker && { expiration: { expiredObjectDeleteMarker: true } }),
    ...(rule.noncurrentDays !== undefined && {
      noncurrentVersionExpiration: { noncurrentDays: rule.noncurrentDays },
    }),
    ...(rule.abortIncompleteMultipartDays !== undefined && {
      abortIncompleteMultipartUpload: { daysAfterInitiation: rule.abortIncompleteMultipartDays },
    }),
    ...(rule.transitions && {
      transitions: rule.transitions.map(({ days, storageClass }) => ({ days, storageClass })),
    }),
  };
}

/** Encryption at rest with S3's own keys, or with one of KMS. */
export function encryptionRules(
  kmsKey: pulumi.Input<string> | undefined,
): aws.types.input.s3.BucketServerSideEncryptionConfigurationRule[] {
  if (kmsKey === undefined) {
    return [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }];
  }
  const byDefault = { sseAlgorithm: "aws:kms", kmsMasterKeyId: kmsKey };
  // One data key for the bucket instead of one request to KMS for each part of each upload.
  return [{ applyServerSideEncryptionByDefault: byDefault, bucketKeyEnabled: true }];
}

/** What the policy depends on. */
interface PolicyArgs {
  readonly endpoint?: pulumi.Input<string>;
  readonly prefix?: string;
  readonly denyOverwrite?: boolean;
}

/** The policy's text. A service that is reached over plain http gets no statement against it. */
export function policyText(
  arn: pulumi.Output<string>,
  { endpoint, prefix = "", denyOverwrite = true }: PolicyArgs,
): pulumi.Output<string> {
  return pulumi
    .all([arn, endpoint])
    .apply(([bucket, address]) =>
      JSON.stringify(
        bucketPolicy({ bucket, prefix, tlsOnly: !address?.startsWith("http:"), denyOverwrite }),
      ),
    );
}

/** Default retention of every object in the words of the AWS provider. */
export function lockRule({
  mode,
  days,
}: ObjectLock): aws.types.input.s3.BucketObjectLockConfigurationRule {
  return { defaultRetention: { mode: mode.toUpperCase(), days } };
}
