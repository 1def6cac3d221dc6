import type * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { Transition } from "../../storage/bucket/lifecycle.ts";
import type { Transform } from "../pulumi/transform.ts";
import type { BackupBucketArgs } from "./bucketArgs.ts";

export interface AwsBackupBucketArgs extends BackupBucketArgs {
  /**
   * Name of a bucket that exists: it is taken into the stack, and its lifecycle, policy and other settings become those
   * declared here. Leave the argument in the program afterwards.
   * @default a new bucket under a generated name
   */
  readonly import?: string;
  /**
   * Region of the bucket.
   * @default the region of the AWS provider
   */
  readonly region?: pulumi.Input<string>;
  /**
   * Address under which the containers reach S3, for instance a VPC interface endpoint.
   * @default the region's public address
   */
  readonly endpoint?: pulumi.Input<string>;
  /**
   * ARN of the KMS key that encrypts the backups. The container's key gets the right to use it; the key's own policy
   * must allow that too.
   * @default S3's own keys (SSE-S3)
   */
  readonly kmsKey?: pulumi.Input<string>;
  /**
   * Refuses an upload to a key that exists, by policy: whatever writes must ask with `If-None-Match: *`, as the
   * container does. Copying an object into the bucket becomes impossible.
   * @default true
   */
  readonly denyOverwrite?: boolean;
  /**
   * Moves older backups to cheaper storage classes. Those have minimum storage periods and prices for reading.
   * @default none
   * @example [{ days: 30, storageClass: "STANDARD_IA" }]
   */
  readonly transitions?: readonly Transition[];
  readonly tags?: Record<string, pulumi.Input<string>>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly bucket?: Transform<aws.s3.BucketArgs>;
    readonly ownership?: Transform<aws.s3.BucketOwnershipControlsArgs>;
    readonly publicAccessBlock?: Transform<aws.s3.BucketPublicAccessBlockArgs>;
    readonly encryption?: Transform<aws.s3.BucketServerSideEncryptionConfigurationArgs>;
    readonly policy?: Transform<aws.s3.BucketPolicyArgs>;
    readonly versioning?: Transform<aws.s3.BucketVersioningArgs>;
    readonly lifecycle?: Transform<aws.s3.BucketLifecycleConfigurationArgs>;
    readonly lock?: Transform<aws.s3.BucketObjectLockConfigurationArgs>;
  };
}
