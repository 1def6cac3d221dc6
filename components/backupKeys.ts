import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { writerPolicy } from "../storage/policies.ts";
import { type Transform, transformed } from "./transform.ts";

export interface BackupKeysArgs {
  /** Name of the bucket. */
  readonly bucket: pulumi.Input<string>;
  /** Folder that the key may write to and read from, without slash at either end. */
  readonly prefix: pulumi.Input<string>;
  /** ARN of the KMS key that encrypts the bucket. @default none */
  readonly kmsKey?: pulumi.Input<string>;
  readonly transform?: {
    readonly user?: Transform<aws.iam.UserArgs>;
    readonly policy?: Transform<aws.iam.UserPolicyArgs>;
    readonly key?: Transform<aws.iam.AccessKeyArgs>;
  };
}

/**
 * The access key of the container on AWS: it can add and read backups under its own prefix, and nothing else. It cannot
 * delete or change a rule of the bucket, so whoever steals the host cannot remove the backups.
 */
export class BackupKeys extends pulumi.ComponentResource {
  readonly user: aws.iam.User;
  readonly policy: aws.iam.UserPolicy;
  readonly key: aws.iam.AccessKey;

  readonly accessKeyId: pulumi.Output<string>;
  /** Secret. */
  readonly secretAccessKey: pulumi.Output<string>;

  constructor(name: string, args: BackupKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:BackupKeys", name, {}, opts);
    const { transform } = args;

    this.user = new aws.iam.User(
      `${name}-user`,
      transformed(transform?.user, { forceDestroy: true }),
      { parent: this },
    );
    this.policy = new aws.iam.UserPolicy(
      `${name}-policy`,
      transformed(transform?.policy, {
        user: this.user.name,
        policy: pulumi.jsonStringify(
          pulumi
            .all([args.bucket, args.prefix, args.kmsKey])
            .apply(([bucket, prefix, kmsKey]) =>
              writerPolicy({ bucket, prefix, read: true, kmsKey }),
            ),
        ),
      }),
      { parent: this },
    );
    this.key = new aws.iam.AccessKey(
      `${name}-key`,
      transformed(transform?.key, { user: this.user.name }),
      // The key is of no use before its policy is there.
      { parent: this, dependsOn: [this.policy] },
    );

    this.accessKeyId = this.key.id;
    this.secretAccessKey = pulumi.secret(this.key.secret);
    this.registerOutputs({
      accessKeyId: this.accessKeyId,
      secretAccessKey: this.secretAccessKey,
    });
  }
}
