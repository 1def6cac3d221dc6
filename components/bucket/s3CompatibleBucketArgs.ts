import type * as pulumi from "@pulumi/pulumi";
import type { BucketAbilities } from "../../storage/address/providerCapabilities.ts";
import type { Software } from "../../storage/address/providers.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import type { BucketInputs } from "../internal/s3Bucket.ts";
import type { LockSetting } from "../internal/s3Lock.ts";
import type { PublicAccessSetting } from "../internal/s3PublicAccessBlock.ts";
import type { VersioningSetting } from "../internal/s3Versioning.ts";
import type { Transform } from "../pulumi/transform.ts";
import type { BackupBucketArgs } from "./bucketArgs.ts";

/** A pair of S3 keys. */
export interface S3Keys {
  readonly accessKeyId: pulumi.Input<string>;
  readonly secretAccessKey: pulumi.Input<string>;
}

export interface S3CompatibleBucketArgs extends BackupBucketArgs {
  /** Name of the bucket. */
  readonly name: string;
  /**
   * Address of the service.
   * @example "https://s3.fr-par.scw.cloud"
   */
  readonly endpoint: string;
  /** @example "fr-par" */
  readonly region: string;
  /**
   * PEM file on the database's host with the certificate of the authority that signed the service's own, where it is none
   * of the public ones. The container gets it for reading and trusts it besides those; everybody must be able to read it
   * (mode 644), and one that was replaced counts after `kamal accessory reboot`.
   *
   * What runs here trusts it by the variable NODE_EXTRA_CA_CERTS alone, the path of such a file on this machine, which Node
   * reads when it starts: without it neither `pulumi` nor `drift` reaches the bucket.
   * @default the public authorities
   * @example "/etc/ssl/our-authority.pem"
   */
  readonly caFile?: string;
  /**
   * What runs at the endpoint, where the address does not tell.
   * @default the provider to whom the address belongs, else a service that is asked for everything
   * @example "minio"
   */
  readonly service?: Software;
  /**
   * Keys of whoever may make and set up the bucket. They stay in the stack's state, encrypted, because a refresh looks
   * at the bucket with them; after changing them run `pulumi up` once before the next refresh.
   */
  readonly administrator: S3Keys;
  /**
   * Keys for the container, which may add to the bucket and, to restore, list and read it.
   * @default the administrator's, with a warning
   */
  readonly writer?: S3Keys;
  /**
   * Takes a bucket that exists. Its objects, its own lifecycle rules and its own policy statements are left alone.
   * @default false: a name that exists is refused
   */
  readonly adopt?: boolean;
  /**
   * What the service can do where that differs from this package's table.
   * @default the table's row for the provider
   * @example { lifecycle: true }
   */
  readonly abilities?: Partial<BucketAbilities>;
  /**
   * Tags of the bucket. Those that it has under other keys are left alone; one under a key given here is replaced. Refused
   * where the service has none.
   * @default none
   * @example { team: "data" }
   */
  readonly tags?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Changes to what each child is asked for. How the bucket is reached cannot be changed here. */
  readonly transform?: {
    readonly bucket?: Transform<Omit<BucketInputs, "connection">>;
    readonly versioning?: Transform<VersioningSetting>;
    /** The rules before they get their owner's name. */
    readonly lifecycle?: Transform<{ readonly rules: readonly LifecycleRule[] }>;
    readonly publicAccessBlock?: Transform<PublicAccessSetting>;
    /** A statement is known for ours in a bucket taken over by its `Sid`, which begins with `KamalPostgresBackup`. */
    readonly policy?: Transform<{ readonly policy: string }>;
    readonly lock?: Transform<LockSetting>;
    readonly tagging?: Transform<{ readonly tags: Readonly<Record<string, pulumi.Input<string>>> }>;
  };
}
