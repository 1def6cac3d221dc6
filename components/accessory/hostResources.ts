import * as pulumi from "@pulumi/pulumi";
import { thinProvider } from "../dynamicProvider.ts";
import type { AccessoryStateInputs } from "../internal/accessoryState.ts";
import type { HostImageInputs } from "../internal/hostImage.ts";
import type { MarkedBlockInputs } from "../internal/markedBlock.ts";

type Inputs<T> = { readonly [P in keyof T]: pulumi.Input<T[P]> };

const MODULE = "kamal-postgres-backup";

/** Our block in deploy.yml. A hand edit inside the markers is drift, and `pulumi up` puts the declared text back. */
export class RenderedBlock extends pulumi.dynamic.Resource {
  constructor(name: string, args: Inputs<MarkedBlockInputs>, opts?: pulumi.CustomResourceOptions) {
    super(thinProvider("markedBlock"), name, args, opts, MODULE, "RenderedBlock");
  }
}

/** Our block in Kamal's secrets file. */
export class SecretsBlock extends pulumi.dynamic.Resource {
  constructor(name: string, args: Inputs<MarkedBlockInputs>, opts?: pulumi.CustomResourceOptions) {
    super(
      thinProvider("markedBlock"),
      name,
      { ...args, block: pulumi.secret(args.block) },
      { ...opts, additionalSecretOutputs: ["block"] },
      MODULE,
      "SecretsBlock",
    );
  }
}

/** An image built on a host. Removed there, or another one under its name, is drift, and `pulumi up` builds it again. */
export class HostImage extends pulumi.dynamic.Resource {
  constructor(name: string, args: Inputs<HostImageInputs>, opts?: pulumi.CustomResourceOptions) {
    super(
      thinProvider("hostImage"),
      name,
      { ...args, target: pulumi.secret(args.target) },
      { ...opts, additionalSecretOutputs: ["target"] },
      MODULE,
      "HostImage",
    );
  }
}

/** The container as its host sees it: stopped, replaced or changed by hand is drift, and `pulumi up` boots it again. */
export class AccessoryState extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: Inputs<AccessoryStateInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      thinProvider("accessoryState"),
      name,
      { ...args, target: pulumi.secret(args.target), bootInput: pulumi.secret(args.bootInput) },
      { ...opts, additionalSecretOutputs: ["target", "bootInput"] },
      MODULE,
      "AccessoryState",
    );
  }
}
