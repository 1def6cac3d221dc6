import * as pulumi from "@pulumi/pulumi";
import { SIGNING_KEY_BYTES } from "../../common/contracts/manifestMac.ts";
import { type DynamicInputs, providerOf } from "./dynamicPackage.ts";

/** What a random key is made from. */
export interface RandomKeyInputs {
  /** Another word than at the last `pulumi up` makes a new key. */
  readonly generation: string;
  /** Keys of an earlier stack, which check as well. Secret. */
  readonly given: readonly string[];
}

/** A random key of 32 bytes, in the stack's state alone. */
export class RandomKey extends pulumi.dynamic.Resource {
  /** The newest first. Secret. */
  declare readonly made: pulumi.Output<readonly string[]>;
  declare readonly since: pulumi.Output<string>;

  /** @param type last word of the resource's type in every state */
  constructor(
    type: "SigningKey" | "WalPassword",
    name: string,
    args: DynamicInputs<RandomKeyInputs>,
    opts: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf("signingKey"),
      name,
      { ...args, given: pulumi.secret(args.given), made: undefined, since: undefined },
      { ...opts, additionalSecretOutputs: ["given", "made"] },
      "kamal-postgres-backup",
      type,
    );
  }
}

/**
 * The key; in the preview before it is made one that never leaves it, since all that is rendered with the key would else be
 * unknown, and the preview would not show what becomes of deploy.yml.
 */
export function madeOrStandIn(key: RandomKey): pulumi.Output<[readonly string[], string]> {
  const made = pulumi.all([pulumi.secret(key.made), key.since]);
  if (!pulumi.runtime.isDryRun()) return made;
  // Not in its type, but a promise of every output; without it the preview only shows less (docs/decisions/first-preview.md).
  const { isKnown } = key.since as { readonly isKnown?: Promise<boolean> };
  const standIn = Buffer.alloc(SIGNING_KEY_BYTES).toString("base64url");
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  return pulumi.output(
    Promise.resolve(isKnown).then((known) =>
      known === false ? pulumi.all([pulumi.secret([standIn]), now]) : made,
    ),
  );
}
