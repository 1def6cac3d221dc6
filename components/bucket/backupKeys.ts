import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import {
  type PolicyDocument,
  readerPolicy,
  writerPolicy,
} from "../../storage/bucket/iamPolicies.ts";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import { awsSdk } from "../pulumi/loadAws.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";

export interface KeysArgs {
  /**
   * What the key in the container may do with the backups under its prefix. `restorable`: add, list and read them, so
   * that the host can restore. `append-only`: add them and nothing else; who steals the host reads no backup, and a
   * restore needs the reader's key.
   * @default "restorable"
   */
  readonly access?: KeyAccess;
  /**
   * A word for the keys' generation. Another word than at the last `pulumi up` makes new keys: the container is restarted
   * with the new one, which must begin an upload before the old one is deleted. If it cannot, the old container comes
   * back and the old key stays. Only for keys that are made here; the
   * key that signs backups follows it, unless `signing.rotateAfter` is given. AWS allows two keys for each user, so a user that has
   * a second one by hand cannot be rotated.
   * @default none
   * @example "2026-12"
   */
  readonly rotateAfter?: string | number;
}

export interface BackupKeysArgs extends KeysArgs {
  /** Name of the bucket. */
  readonly bucket: pulumi.Input<string>;
  /** Folder that the keys are for, without slash at either end. */
  readonly prefix: pulumi.Input<string>;
  /** ARN of the KMS key that encrypts the bucket. @default none */
  readonly kmsKey?: pulumi.Input<string>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly user?: Transform<aws.iam.UserArgs>;
    readonly policy?: Transform<aws.iam.UserPolicyArgs>;
    readonly key?: Transform<aws.iam.AccessKeyArgs>;
    readonly readerUser?: Transform<aws.iam.UserArgs>;
    readonly readerPolicy?: Transform<aws.iam.UserPolicyArgs>;
    readonly readerKey?: Transform<aws.iam.AccessKeyArgs>;
  };
}

/** A user of AWS with one policy and one key. */
export interface BackupKey {
  readonly user: aws.iam.User;
  readonly policy: aws.iam.UserPolicy;
  readonly key: aws.iam.AccessKey;
  readonly accessKeyId: pulumi.Output<string>;
  /** Secret. */
  readonly secretAccessKey: pulumi.Output<string>;
}

/**
 * The access keys of one backup on AWS. The writer's is for the container: it can add backups under its own prefix, read
 * them if wanted, and nothing else. It cannot delete or change a rule of the bucket, so whoever steals the host cannot
 * remove the backups. The reader's is for restoring from elsewhere, and is never on the host.
 */
export class BackupKeys extends pulumi.ComponentResource {
  readonly writer: BackupKey;
  readonly reader: BackupKey;

  /** The writer's. */
  readonly accessKeyId: pulumi.Output<string>;
  /** The writer's. Secret. */
  readonly secretAccessKey: pulumi.Output<string>;

  constructor(name: string, args: BackupKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:BackupKeys", name, {}, opts);
    const { access = "restorable", transform, rotateAfter } = args;
    const place = pulumi.all([args.bucket, args.prefix, args.kmsKey]);

    this.writer = makeKey(this, name, {
      document: place.apply(([bucket, prefix, kmsKey]) =>
        writerPolicy({ bucket, prefix, read: access === "restorable", kmsKey }),
      ),
      generation: rotateAfter,
      transform,
    });
    this.reader = makeKey(this, `${name}-reader`, {
      document: place.apply(([bucket, prefix, kmsKey]) => readerPolicy({ bucket, prefix, kmsKey })),
      generation: rotateAfter,
      transform: {
        ...(transform?.readerUser && { user: transform.readerUser }),
        ...(transform?.readerPolicy && { policy: transform.readerPolicy }),
        ...(transform?.readerKey && { key: transform.readerKey }),
      },
    });

    this.accessKeyId = this.writer.accessKeyId;
    this.secretAccessKey = this.writer.secretAccessKey;
    this.registerOutputs({
      accessKeyId: this.accessKeyId,
      secretAccessKey: this.secretAccessKey,
      readerAccessKeyId: this.reader.accessKeyId,
      readerSecretAccessKey: this.reader.secretAccessKey,
    });
  }
}

function makeKey(
  parent: pulumi.Resource,
  name: string,
  {
    document,
    generation,
    transform,
  }: {
    readonly document: pulumi.Output<PolicyDocument>;
    readonly generation: string | number | undefined;
    readonly transform: BackupKeysArgs["transform"] | undefined;
  },
): BackupKey {
  const iam = awsSdk.iam();
  const user = new iam.User(`${name}-user`, transformed(transform?.user, { forceDestroy: true }), {
    parent,
  });
  const policy = new iam.UserPolicy(
    `${name}-policy`,
    transformed(transform?.policy, { user: user.name, policy: pulumi.jsonStringify(document) }),
    { parent },
  );
  const key = new iam.AccessKey(
    `${name}-key`,
    transformed<aws.iam.AccessKeyArgs>(transform?.key, { user: user.name }),
    {
      parent,
      // The key is of no use before its policy is there.
      dependsOn: [policy],
      // The engine makes the new key first, then updates what uses it, and deletes the old one last. It takes a trigger
      // that was not there before for no change, so there always is one.
      replacementTrigger: String(generation ?? ""),
    },
  );
  return {
    user,
    policy,
    key,
    accessKeyId: key.id,
    secretAccessKey: pulumi.secret(key.secret),
  };
}
