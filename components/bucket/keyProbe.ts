import * as pulumi from "@pulumi/pulumi";
import { thinProvider } from "../dynamicProvider.ts";
import type { KeyProbeInputs } from "../internal/keyProbe.ts";

type Args = {
  readonly [P in Exclude<keyof KeyProbeInputs, "verdict">]: pulumi.Input<KeyProbeInputs[P]>;
};

/**
 * An access key tried for what it must and must not be able to do, without leaving anything in the bucket. One that
 * cannot do its work fails `pulumi up`, and is drift when it happens later; one that can do too much is warned about.
 */
export class KeyProbe extends pulumi.dynamic.Resource {
  declare readonly warnings: pulumi.Output<readonly string[]>;

  constructor(name: string, args: Args, opts?: pulumi.CustomResourceOptions) {
    super(
      thinProvider("keyProbe"),
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
