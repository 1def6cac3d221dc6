/**
 * Buckets and keys made at Scaleway. Apart from the package's main entry, because it needs `@pulumiverse/scaleway`.
 *
 * @packageDocumentation
 */
import "./pulumi/supportedNode.ts";

export {
  ScalewayBackupBucket,
  type ScalewayBackupBucketArgs,
} from "./bucket/scalewayBackupBucket.ts";
