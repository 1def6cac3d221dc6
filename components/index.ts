/**
 * PostgreSQL backups for applications deployed with Kamal, declared as Pulumi components.
 *
 * @packageDocumentation
 */

// First, before anything that an older Node lacks.
import "./pulumi/supportedNode.ts";

export type { WebhookFormat } from "../common/contracts/agentEnvironment/notifications.ts";
export type { SslMode } from "../common/contracts/agentEnvironment/postgres.ts";
export type { BackupOutputs } from "../common/contracts/stackOutputs.ts";
export { Problem } from "../common/problem.ts";
export { Schedule, type Weekday } from "../common/schedule/schedule.ts";
export type { BucketAbilities } from "../storage/address/providerCapabilities.ts";
export type { Transition } from "../storage/bucket/lifecycle.ts";
export type { ObjectLock } from "../storage/bucket/objectLock.ts";
export type { KeyAccess } from "../storage/bucket/probeKey.ts";
export { Retention, type TierDays } from "../storage/planning/retention.ts";
export type { BeforeDeployArgs } from "./accessory/deployGate.ts";
export type { BootByKamal, Driver } from "./accessory/driver.ts";
export { KamalAccessory, type KamalAccessoryArgs } from "./accessory/kamalAccessory.ts";
export type { KamalArgs, RegistryArgs } from "./accessory/kamalProject.ts";
export type { SshArgs } from "./accessory/sshConnection.ts";
export type { CopyArgs } from "./backup/copy.ts";
export { Encryption } from "./backup/encryption.ts";
export type { NoticesArgs } from "./backup/notices.ts";
export { PostgresBackup } from "./backup/postgresBackup.ts";
export type { PostgresBackupArgs } from "./backup/postgresBackupArgs.ts";
export type { PostgresArgs } from "./backup/resolveDatabase.ts";
export type { DrillArgs } from "./backup/rhythm.ts";
export { AwsBackupBucket, type AwsBackupBucketArgs } from "./bucket/awsBackupBucket.ts";
export {
  type BackupKey,
  BackupKeys,
  type BackupKeysArgs,
  type KeysArgs,
} from "./bucket/backupKeys.ts";
export type { BackupBucket, BucketWithKeys, ExistingBucket } from "./bucket/bucket.ts";
export type { BackupBucketArgs, BucketPointInTime } from "./bucket/bucketArgs.ts";
export { S3CompatibleBucket, type S3CompatibleBucketArgs } from "./bucket/s3CompatibleBucket.ts";
export type { S3Keys } from "./bucket/s3CompatibleSettings.ts";
export type { SigningArgs } from "./bucket/signingKey.ts";
export { AgentImage, type AgentImageArgs } from "./image/agentImage.ts";
export { HostAgentImage, type HostAgentImageArgs } from "./image/hostAgentImage.ts";
export type { AgentBuild } from "./image/imageSource.ts";
export type { PointInTimeArgs } from "./pointInTime/pointInTimeArgs.ts";
export type { Transform } from "./pulumi/transform.ts";
