import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { BackupKeys, KeysArgs } from "./backupKeys.ts";
import { KeyProbe } from "./keyProbe.ts";
import type { Location } from "./resolveBucket.ts";

/** A service tells all its servers about a new key within seconds, but not at once. */
const NEW_KEY_PATIENCE_SECONDS = 60;

interface GivenKey {
  readonly location: pulumi.Output<Location>;
  readonly allowInsecure: boolean;
  readonly accessKeyId: pulumi.Output<string>;
  readonly secretAccessKey: pulumi.Output<string>;
  readonly madeKeys?: true;
}

/** Tries keys that were not made here. Nothing waits for it: the container tries them itself when it boots. */
export function proveGivenKey(
  parent: pulumi.Resource,
  name: string,
  given: GivenKey,
  { access = "restorable" }: KeysArgs,
): KeyProbe {
  return new KeyProbe(
    `${name}-key-probe`,
    {
      ...placeOf(given.location),
      allowInsecure: given.allowInsecure,
      accessKeyId: given.accessKeyId,
      secretAccessKey: given.secretAccessKey,
      access,
      patienceSeconds: given.madeKeys ? NEW_KEY_PATIENCE_SECONDS : 0,
    },
    { parent },
  );
}

/** Tries the key that was made for the container. @returns its id, once it works */
export function proveMadeKey(
  parent: pulumi.Resource,
  name: string,
  location: pulumi.Output<Location>,
  allowInsecure: boolean,
  keys: BackupKeys,
  { access = "restorable" }: KeysArgs,
): pulumi.Output<string> {
  const probe = new KeyProbe(
    `${name}-key-probe`,
    {
      ...placeOf(location),
      allowInsecure,
      accessKeyId: keys.accessKeyId,
      secretAccessKey: keys.secretAccessKey,
      access,
      patienceSeconds: NEW_KEY_PATIENCE_SECONDS,
    },
    { parent, dependsOn: [keys.writer.policy] },
  );
  return pulumi.all([keys.accessKeyId, probe.id]).apply(([id]) => id);
}

/** @throws Problem when a rotation was asked for that only the owner of the keys can do */
export function refuseRotation({ rotateAfter }: KeysArgs): void {
  if (rotateAfter === undefined) return;
  throw new Problem(
    `keys.rotateAfter: the keys of this bucket were given to the program, so only their owner can rotate them. Make a new key at the provider, give that one in its place, run pulumi up, then delete the old one; take keys.rotateAfter out.`,
  );
}

/** @throws Problem when the keys of a bucket that makes its own are asked for here */
export function refuseKeys({ access, rotateAfter }: KeysArgs): void {
  if (access === undefined && rotateAfter === undefined) return;
  throw new Problem(
    "keys: the keys of this bucket are made together with it. Give keys to the bucket instead, and take them out here.",
  );
}

function placeOf(location: pulumi.Output<Location>) {
  return {
    endpoint: location.endpoint,
    region: location.region,
    bucket: location.bucket,
    prefix: location.prefix,
  };
}
