/**
 * PostgreSQL backups for applications deployed with Kamal, declared as Pulumi components.
 *
 * @packageDocumentation
 */
export { Problem } from "../kamal/problem.ts";
export { Retention, type TierDays } from "../kamal/retention.ts";
export { Schedule } from "../kamal/schedule.ts";
export type { KeyAccess } from "../storage/keyRights.ts";
export { AgentImage, type AgentImageArgs } from "./agentImage.ts";
export { AwsBackupBucket } from "./awsBackupBucket.ts";
export type { AwsBackupBucketArgs } from "./awsBackupBucketArgs.ts";
export {
  type BackupKey,
  BackupKeys,
  type BackupKeysArgs,
  type KeysArgs,
} from "./backupKeys.ts";
export type { BackupBucket, BucketWithKeys, ExistingBucket } from "./bucket.ts";
export type { BackupBucketArgs } from "./bucketArgs.ts";
export type { CopyArgs } from "./copy.ts";
export { Encryption } from "./encryption.ts";
export { type AgentBuild, HostAgentImage, type HostAgentImageArgs } from "./hostAgentImage.ts";
export { KamalAccessory, type KamalAccessoryArgs } from "./kamalAccessory.ts";
export type { KamalArgs } from "./kamalProject.ts";
export type { NoticesArgs } from "./notices.ts";
export type { BackupOutputs } from "./outputs.ts";
export { PostgresBackup } from "./postgresBackup.ts";
export type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
export { S3CompatibleBucket } from "./s3CompatibleBucket.ts";
export type { S3CompatibleBucketArgs, S3Keys } from "./s3CompatibleBucketArgs.ts";
export type { SshArgs } from "./sshConnection.ts";
export type { Transform } from "./transform.ts";
