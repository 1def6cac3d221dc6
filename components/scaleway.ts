/**
 * Buckets and keys made at Scaleway. Apart from the package's main entry, because it needs `@pulumiverse/scaleway`.
 *
 * @packageDocumentation
 */
import "./pulumi/supportedNode.ts";
import { scaleway } from "./pulumi/scalewayPackage.ts";

export {
  ScalewayBackupBucket,
  type ScalewayBackupBucketArgs,
} from "./bucket/scalewayBackupBucket.ts";

// Missing, it is named here already, and not first where a bucket is declared.
scaleway();
