import * as pulumi from "@pulumi/pulumi";
import type { HostImageInputs } from "../internal/hostImage.ts";
import { type DynamicInputs, providerOf } from "../pulumi/dynamicPackage.ts";

/** An image built on a host. Removed there, or another one under its name, is drift, and `pulumi up` builds it again. */
export class HostImage extends pulumi.dynamic.Resource {
  constructor(
    name: string,
    args: DynamicInputs<HostImageInputs>,
    opts?: pulumi.CustomResourceOptions,
  ) {
    super(
      providerOf("hostImage"),
      name,
      { ...args, target: pulumi.secret(args.target) },
      { ...opts, additionalSecretOutputs: ["target"] },
      "kamal-postgres-backup",
      "HostImage",
    );
  }
}
