import * as pulumi from "@pulumi/pulumi";
import type { AccessoryStateInputs, FirstBackupOutcome } from "../internal/accessoryState.ts";
import type { MarkedBlockInputs } from "../internal/markedBlock.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";
import type { SshTarget } from "../pulumi/hostScript.ts";

/** Part of the resources' type in every state. */
const MODULE = "kamal-postgres-backup";

/** Our block in deploy.yml. A hand edit inside the markers is drift, and `pulumi up` puts the declared text back. */
export class RenderedBlock extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: DynamicInputs<MarkedBlockInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(providerOf("markedBlock"), name, args, opts, MODULE, "RenderedBlock");
  }
}

/** Our block in a hook of Kamal's. One that was taken out, or edited, is drift. */
export class DeployHook extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: DynamicInputs<MarkedBlockInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(providerOf("markedBlock"), name, args, opts, MODULE, "DeployHook");
  }
}

/** Our block in Kamal's secrets file. */
export class SecretsBlock extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: DynamicInputs<MarkedBlockInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf("markedBlock"),
      name,
      { ...args, block: pulumi.secret(args.block) },
      { ...opts, additionalSecretOutputs: ["block"] },
      MODULE,
      "SecretsBlock",
    );
  }
}

/** The container as its host sees it: stopped, replaced or changed by hand is drift, and `pulumi up` boots it again. */
export class AccessoryState extends pulumi.dynamic.Resource {
  /** How its host was reached last, with a key that it takes. Secret. */
  declare readonly target: pulumi.Output<SshTarget>;
  /** What the first backup came to, if one was made with the last change. */
  declare readonly outcome: pulumi.Output<FirstBackupOutcome | undefined>;

  constructor(
    name: string,
    args: DynamicInputs<AccessoryStateInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf("accessoryState"),
      name,
      {
        ...args,
        target: pulumi.secret(args.target),
        bootInput: pulumi.secret(args.bootInput),
        // What is not among the inputs is an output only if it is named here.
        outcome: undefined,
      },
      { ...opts, additionalSecretOutputs: ["target", "bootInput"] },
      MODULE,
      "AccessoryState",
    );
  }
}
