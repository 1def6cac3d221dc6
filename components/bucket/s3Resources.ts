import * as pulumi from "@pulumi/pulumi";
import type { BucketInputs } from "../internal/s3Bucket.ts";
import type { S3Connection } from "../internal/s3Connection.ts";
import type { LifecycleSetting } from "../internal/s3Lifecycle.ts";
import type { LockSetting } from "../internal/s3Lock.ts";
import type { PolicySetting } from "../internal/s3Policy.ts";
import type { PublicAccessSetting } from "../internal/s3PublicAccessBlock.ts";
import type { TaggingSetting } from "../internal/s3Tagging.ts";
import type { VersioningSetting } from "../internal/s3Versioning.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";

type OnBucket<T> = DynamicInputs<T & { readonly connection: S3Connection }>;

/** A bucket, or one of its settings, through the S3 API itself. Its connection carries an administrator's key. */
abstract class S3Resource extends pulumi.dynamic.Resource {
  constructor(
    module: string,
    type: string,
    name: string,
    args: { readonly connection: pulumi.Input<S3Connection> },
    opts: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf(module),
      name,
      { ...args, connection: pulumi.secret(args.connection) },
      { ...opts, additionalSecretOutputs: ["connection"] },
      "kamal-postgres-backup",
      type,
    );
  }
}

export class S3Bucket extends S3Resource {
  constructor(name: string, args: DynamicInputs<BucketInputs>, opts: pulumi.CustomResourceOptions) {
    super("s3Bucket", "S3Bucket", name, args, opts);
  }
}

export class S3BucketVersioning extends S3Resource {
  constructor(name: string, args: OnBucket<VersioningSetting>, opts: pulumi.CustomResourceOptions) {
    super("s3Versioning", "S3BucketVersioning", name, args, opts);
  }
}

export class S3BucketLifecycleConfiguration extends S3Resource {
  constructor(name: string, args: OnBucket<LifecycleSetting>, opts: pulumi.CustomResourceOptions) {
    super("s3Lifecycle", "S3BucketLifecycleConfiguration", name, args, opts);
  }
}

export class S3BucketPolicy extends S3Resource {
  constructor(name: string, args: OnBucket<PolicySetting>, opts: pulumi.CustomResourceOptions) {
    super("s3Policy", "S3BucketPolicy", name, args, opts);
  }
}

export class S3BucketPublicAccessBlock extends S3Resource {
  constructor(
    name: string,
    args: OnBucket<PublicAccessSetting>,
    opts: pulumi.CustomResourceOptions,
  ) {
    super("s3PublicAccessBlock", "S3BucketPublicAccessBlock", name, args, opts);
  }
}

export class S3BucketObjectLock extends S3Resource {
  constructor(name: string, args: OnBucket<LockSetting>, opts: pulumi.CustomResourceOptions) {
    super("s3Lock", "S3BucketObjectLock", name, args, opts);
  }
}

export class S3BucketTagging extends S3Resource {
  constructor(name: string, args: OnBucket<TaggingSetting>, opts: pulumi.CustomResourceOptions) {
    super("s3Tagging", "S3BucketTagging", name, args, opts);
  }
}
