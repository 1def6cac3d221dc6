import * as pulumi from "@pulumi/pulumi";
import type { KeyProbeInputs } from "../internal/keyProbe.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";
import type { Location } from "./bucket.ts";

/** A service tells all its servers about a new key within seconds, but not at once. */
const NEW_KEY_PATIENCE_SECONDS = 60;

export type KeyProbeArgs = DynamicInputs<Omit<KeyProbeInputs, "verdict">>;

/**
 * An access key tried for what it must and must not be able to do, without leaving anything in the bucket. One that
 * cannot do its work fails `pulumi up`, and is drift when it happens later; one that can do too much is warned about.
 */
export class KeyProbe extends pulumi.dynamic.Resource {
  declare readonly warnings: pulumi.Output<readonly string[]>;

  constructor(name: string, args: KeyProbeArgs, opts?: pulumi.CustomResourceOptions) {
    super(
      providerOf("keyProbe"),
      name,
      {
        ...args,
        secretAccessKey: pulumi.secret(args.secretAccessKey),
        verdict: "fit",
        warnings: undefined,
      },
      { ...opts, additionalSecretOutputs: ["secretAccessKey"] },
      "kamal-postgres-backup",
      "KeyProbe",
    );
    this.warnings.apply((warnings) => {
      for (const warning of warnings ?? []) pulumi.log.warn(warning, this);
    });
  }
}

/** A key and the place that it is for. */
export interface ProbedKey
  extends Pick<KeyProbeArgs, "allowInsecure" | "accessKeyId" | "secretAccessKey" | "access"> {
  readonly location: pulumi.Output<Location>;
  /** It was just made, so that the service may not know it everywhere yet. */
  readonly isNew: boolean;
}

/** Has a container's key tried. */
export function createKeyProbe(
  name: string,
  { location, isNew, ...key }: ProbedKey,
  opts: pulumi.CustomResourceOptions,
): KeyProbe {
  return new KeyProbe(
    `${name}-key-probe`,
    {
      endpoint: location.endpoint,
      region: location.region,
      bucket: location.bucket,
      prefix: location.prefix,
      ...key,
      patienceSeconds: isNew ? NEW_KEY_PATIENCE_SECONDS : 0,
    },
    opts,
  );
}
