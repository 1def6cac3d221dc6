import { createRequire } from "node:module";
import type * as aws from "@pulumi/aws";

const load = createRequire(import.meta.url);

/**
 * The modules of `@pulumi/aws` that are used here, loaded with the first component that needs them. The SDK as a whole is
 * 84 MB and most of the time that this package would take to load; a bucket elsewhere needs nothing of it.
 */
export const awsSdk = {
  s3: (): typeof aws.s3 => load("@pulumi/aws/s3"),
  iam: (): typeof aws.iam => load("@pulumi/aws/iam"),
};
