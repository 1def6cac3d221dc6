import * as pulumi from "@pulumi/pulumi";
import { parseAddress, type StoreAddress } from "../../storage/address/address.ts";
import type { BucketAbilities } from "../../storage/address/providerCapabilities.ts";
import { type Software, software } from "../../storage/address/providers.ts";
import { type BucketPlan, planBucket } from "../../storage/bucket/bucketFeatures.ts";
import { bucketPolicy } from "../../storage/bucket/bucketPolicy.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { ownedBy } from "../../storage/bucket/lifecycleMerge.ts";
import { lockNotice, type ObjectLock } from "../../storage/bucket/objectLock.ts";
import type { S3Connection } from "../internal/s3Connection.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import { addressNames, settingNamesOf } from "../pulumi/settingNames.ts";
import { type BackupBucketArgs, resolveRules } from "./bucketArgs.ts";

/** A pair of S3 keys. */
export interface S3Keys {
  readonly accessKeyId: pulumi.Input<string>;
  readonly secretAccessKey: pulumi.Input<string>;
}

/** Which service the bucket is at, and what is asked of it. */
export interface S3ServiceArgs extends BackupBucketArgs {
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
   * What runs at the endpoint, where it does not follow from the address.
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
}

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
export interface ResolvedS3Bucket {
  readonly address: StoreAddress;
  readonly abilities: BucketAbilities;
  readonly plan: BucketPlan;
  readonly rules: readonly LifecycleRule[];
}

/** Whose keys set the bucket up. */
const ADMINISTRATOR = {
  accessKeyId: "administrator.accessKeyId",
  secretAccessKey: "administrator.secretAccessKey",
};

/**
 * Checks the arguments, and plans what the service is asked for.
 * @throws Problem that names the argument
 */
export function resolveS3Bucket(args: S3ServiceArgs, log: ResourceLog): ResolvedS3Bucket {
  const { endpoint, region, service, allowInsecure, lock } = args;
  // The bucket as a whole is set up; its folder matters to the rules only.
  const name = settingNamesOf(args);
  const found = parseAddress(
    { endpoint, region, bucket: args.name, prefix: "settings", allowInsecure },
    addressNames(name, ADMINISTRATOR),
  );
  const provider = service === undefined ? found.provider : software[service];
  const abilities = { ...provider.buckets, ...args.abilities };
  const plan = planBucket(provider.name, abilities, {
    lock: lock !== undefined,
    tags: args.tags !== undefined,
  });
  const takenBy = args.adopt === true ? "adopt" : undefined;
  const rules = resolveRules(args, { takenBy, name });
  for (const sentence of warningsOf(args, found, plan)) log.warn(sentence);
  return { address: { ...found, provider }, abilities, plan, rules };
}

function warningsOf(args: S3ServiceArgs, address: StoreAddress, plan: BucketPlan): string[] {
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
export function connectionOf(
  args: S3ServiceArgs,
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
export function policyText({ prefix = "" }: S3ServiceArgs, address: StoreAddress): string {
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
