/**
 * Buckets and keys made at Scaleway. Apart from the package's main entry, because it needs `@pulumiverse/scaleway`.
 *
 * @packageDocumentation
 */
export { ScalewayBackupBucket } from "./bucket/scalewayBackupBucket.ts";
export type { ScalewayBackupBucketArgs } from "./bucket/scalewayBackupBucketArgs.ts";
