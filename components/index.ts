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
export { AwsBackupBucket, type AwsBackupBucketArgs } from "./awsBackupBucket.ts";
export {
  type BackupKey,
  BackupKeys,
  type BackupKeysArgs,
  type KeysArgs,
} from "./backupKeys.ts";
export type { BackupBucket, ExistingBucket } from "./bucket.ts";
export { Encryption } from "./encryption.ts";
export { KamalAccessory, type KamalAccessoryArgs } from "./kamalAccessory.ts";
export type { KamalArgs } from "./kamalProject.ts";
export type { NoticesArgs } from "./notices.ts";
export type { BackupOutputs } from "./outputs.ts";
export { PostgresBackup, type PostgresBackupArgs } from "./postgresBackup.ts";
export type { SshArgs } from "./sshConnection.ts";
export type { Transform } from "./transform.ts";
