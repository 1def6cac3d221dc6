import type * as pulumi from "@pulumi/pulumi";
import type * as scaleway from "@pulumiverse/scaleway";
import type { Transform } from "../pulumi/transform.ts";
import type { KeysArgs } from "./backupKeys.ts";
import type { BackupBucketArgs } from "./bucketArgs.ts";

export interface ScalewayBackupBucketArgs extends Omit<BackupBucketArgs, "allowInsecure"> {
  /** Name of the bucket. */
  readonly name: string;
  /** @example "fr-par" */
  readonly region: string;
  /**
   * Project of the bucket and of the container's key. One for backups alone: Scaleway's permission sets hold for a whole
   * project, so the key may also add and delete in every other bucket there that has no policy.
   */
  readonly projectId: pulumi.Input<string>;
  /**
   * Who keeps every right in the bucket, which shuts out all others: at least whoever runs Pulumi, as `user_id:ID` or
   * `application_id:ID`. If that one is missing, only the owner of the organisation can mend it.
   * @example ["application_id:11111111-1111-1111-1111-111111111111"]
   */
  readonly administrators: readonly pulumi.Input<string>[];
  /** What the container's key may do, and when it is replaced. @default it may add, list and read backups */
  readonly keys?: KeysArgs;
  /** @default none */
  readonly tags?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly bucket?: Transform<scaleway.object.BucketArgs>;
    readonly lock?: Transform<scaleway.object.BucketLockConfigurationArgs>;
    readonly bucketPolicy?: Transform<scaleway.object.BucketPolicyArgs>;
    readonly application?: Transform<scaleway.iam.ApplicationArgs>;
    readonly policy?: Transform<scaleway.iam.PolicyArgs>;
    readonly key?: Transform<scaleway.iam.ApiKeyArgs>;
  };
}
