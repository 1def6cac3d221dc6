/** What a stolen key is used for, besides what it is made for: data, each act by a word that completes "it may not". */
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  type IAMClient,
  ListUsersCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketCorsCommand,
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketOwnershipControlsCommand,
  DeleteBucketPolicyCommand,
  DeleteBucketReplicationCommand,
  DeleteBucketTaggingCommand,
  DeleteBucketWebsiteCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  DeletePublicAccessBlockCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketAclCommand,
  PutBucketCorsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketNotificationConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketReplicationCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutBucketWebsiteCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";

/** Where the acts are tried. */
export interface Scene {
  readonly s3: S3Client;
  readonly iam: IAMClient;
  readonly bucket: string;
  /** Somebody else's. */
  readonly otherBucket: string;
  /** Folder of the key, with a folder above it; beside it are `PREFIX-other/x` and `other/x`. */
  readonly prefix: string;
  /** Key and version of a backup in the folder. */
  readonly backup: string;
  readonly version: string;
  /** An upload that was begun in the folder. */
  readonly uploadId: string;
  /** Name of another user, and the id of that user's key. */
  readonly otherUser: string;
  readonly otherKeyId: string;
}

export type Act = (scene: Scene) => Promise<unknown>;

/** Keys of the caller's own, with which an object would be encrypted. */
const CUSTOMER_KEY = {
  SSECustomerAlgorithm: "AES256",
  SSECustomerKey: Buffer.alloc(32, 7).toString("base64"),
  SSECustomerKeyMD5: "1S7eZcQZHuhYnFIdywiPNg==",
};
const TAGS = { TagSet: [{ Key: "expire", Value: "now" }] };
const EXPIRE = {
  Rules: [{ ID: "x", Status: "Enabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } }],
} as const;
const everybodyMay = (bucket: string) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: "*", Action: "s3:*", Resource: `arn:aws:s3:::${bucket}/*` },
    ],
  });
const ALL = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});
const UNTIL = new Date("2099-01-01T00:00:00Z");

const put = ({ s3, bucket: Bucket }: Scene, Key: string, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", ...more }));
const get = ({ s3, bucket: Bucket }: Scene, Key: string) =>
  s3.send(new GetObjectCommand({ Bucket, Key }));
const list = ({ s3, bucket: Bucket }: Scene, Prefix?: string) =>
  s3.send(new ListObjectsV2Command({ Bucket, ...(Prefix !== undefined && { Prefix }) }));
const copy = ({ s3, bucket: Bucket, prefix }: Scene, CopySource: string, more: object = {}) =>
  s3.send(new CopyObjectCommand({ Bucket, Key: `${prefix}/copied`, CopySource, ...more }));

/** Neither the key on the host may do any of these, nor the one for restoring from elsewhere. */
export const FORBIDDEN: Readonly<Record<string, Act>> = {
  "put outside the folder": (c) => put(c, "other/y"),
  "put beside all folders": (c) => put(c, "y"),
  "put into the folder above": (c) => put(c, `${c.prefix.split("/")[0]}/y`),
  "put into a folder that begins alike": (c) => put(c, `${c.prefix}-other/y`),
  "put by way of the folder above": (c) => put(c, `${c.prefix}/../../other/y`),
  "begin an upload outside the folder": ({ s3, bucket: Bucket }) =>
    s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "other/y" })),
  "read outside the folder": (c) => get(c, "other/x"),
  "read in a folder that begins alike": (c) => get(c, `${c.prefix}-other/x`),
  "read by way of the folder above": (c) => get(c, `${c.prefix}/../../other/x`),
  "ask for the size of what lies outside": ({ s3, bucket: Bucket }) =>
    s3.send(new HeadObjectCommand({ Bucket, Key: "other/x" })),
  "list the whole bucket": (c) => list(c),
  "list another folder": (c) => list(c, "other/"),
  "list the folder above": (c) => list(c, `${c.prefix.split("/")[0]}/`),
  "list a folder that begins alike": (c) => list(c, `${c.prefix}-other/`),
  "list the versions of another folder": ({ s3, bucket: Bucket }) =>
    s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: "other/" })),
  "list the uploads": ({ s3, bucket: Bucket, prefix }) =>
    s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: `${prefix}/` })),
  "put into another bucket": (c) => put({ ...c, bucket: c.otherBucket }, `${c.prefix}/y`),
  "read in another bucket": (c) => get({ ...c, bucket: c.otherBucket }, `${c.prefix}/x`),
  "list another bucket": (c) => list({ ...c, bucket: c.otherBucket }, `${c.prefix}/`),
  "delete another bucket": ({ s3, otherBucket: Bucket }) =>
    s3.send(new DeleteBucketCommand({ Bucket })),
  "make a bucket": ({ s3 }) => s3.send(new CreateBucketCommand({ Bucket: "one-more" })),
  "delete a backup": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new DeleteObjectCommand({ Bucket, Key })),
  "delete a version of a backup": ({ s3, bucket: Bucket, backup: Key, version: VersionId }) =>
    s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId })),
  "delete the bucket": ({ s3, bucket: Bucket }) => s3.send(new DeleteBucketCommand({ Bucket })),
  "write a lifecycle": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: [...EXPIRE.Rules] },
      }),
    ),
  "delete the lifecycle": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketLifecycleCommand({ Bucket })),
  "suspend versioning": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    ),
  "write a bucket policy": ({ s3, bucket: Bucket }) =>
    s3.send(new PutBucketPolicyCommand({ Bucket, Policy: everybodyMay(Bucket) })),
  "delete the bucket policy": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketPolicyCommand({ Bucket })),
  "make an object public": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new PutObjectAclCommand({ Bucket, Key, ACL: "public-read" })),
  "make the bucket public": ({ s3, bucket: Bucket }) =>
    s3.send(new PutBucketAclCommand({ Bucket, ACL: "public-read" })),
  "lift the block of public access": ({ s3, bucket: Bucket }) =>
    s3.send(new DeletePublicAccessBlockCommand({ Bucket })),
  "change the block of public access": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutPublicAccessBlockCommand({
        Bucket,
        PublicAccessBlockConfiguration: { BlockPublicAcls: false },
      }),
    ),
  "open the bucket to web pages": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketCorsCommand({
        Bucket,
        CORSConfiguration: { CORSRules: [{ AllowedMethods: ["GET"], AllowedOrigins: ["*"] }] },
      }),
    ),
  "delete the rules for web pages": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketCorsCommand({ Bucket })),
  "change the bucket's encryption": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketEncryptionCommand({
        Bucket,
        ServerSideEncryptionConfiguration: {
          Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
        },
      }),
    ),
  "delete the bucket's encryption": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketEncryptionCommand({ Bucket })),
  "tag the bucket": ({ s3, bucket: Bucket }) =>
    s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: TAGS })),
  "take the bucket's tags away": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketTaggingCommand({ Bucket })),
  "tag a backup": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: TAGS })),
  "take a backup's tags away": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new DeleteObjectTaggingCommand({ Bucket, Key })),
  "change the lock": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: "Enabled",
          Rule: { DefaultRetention: { Mode: "COMPLIANCE", Days: 36500 } },
        },
      }),
    ),
  "change how long a backup is locked": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(
      new PutObjectRetentionCommand({
        Bucket,
        Key,
        Retention: { Mode: "COMPLIANCE", RetainUntilDate: UNTIL },
      }),
    ),
  "put a legal hold on a backup": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new PutObjectLegalHoldCommand({ Bucket, Key, LegalHold: { Status: "ON" } })),
  "replicate the bucket elsewhere": ({ s3, bucket: Bucket, otherBucket }) =>
    s3.send(
      new PutBucketReplicationCommand({
        Bucket,
        ReplicationConfiguration: {
          Role: "arn:aws:iam::111122223333:role/x",
          Rules: [{ Status: "Enabled", Destination: { Bucket: `arn:aws:s3:::${otherBucket}` } }],
        },
      }),
    ),
  "end the replication": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketReplicationCommand({ Bucket })),
  "change who owns what is put": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketOwnershipControlsCommand({
        Bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership: "ObjectWriter" }] },
      }),
    ),
  "delete the rules of ownership": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket })),
  "serve the bucket as a website": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketWebsiteCommand({
        Bucket,
        WebsiteConfiguration: { IndexDocument: { Suffix: "x" } },
      }),
    ),
  "delete the website": ({ s3, bucket: Bucket }) =>
    s3.send(new DeleteBucketWebsiteCommand({ Bucket })),
  "be notified of what is put": ({ s3, bucket: Bucket }) =>
    s3.send(
      new PutBucketNotificationConfigurationCommand({
        Bucket,
        NotificationConfiguration: { EventBridgeConfiguration: {} },
      }),
    ),
  "put with a key of its own": (c) => put(c, `${c.prefix}/held`, CUSTOMER_KEY),
  "encrypt a backup over itself with a key of its own": (c) =>
    copy(c, `${c.bucket}/${c.backup}`, { Key: c.backup, ...CUSTOMER_KEY }),
  "copy from outside into the folder": (c) => copy(c, `${c.bucket}/other/x`),
  "copy from another bucket": (c) => copy(c, `${c.otherBucket}/${c.prefix}/x`),
  "copy a part from outside": ({ s3, bucket: Bucket, backup: Key, uploadId: UploadId }) =>
    s3.send(
      new UploadPartCopyCommand({
        ...{ Bucket, Key, UploadId, PartNumber: 1 },
        CopySource: `${Bucket}/other/x`,
      }),
    ),
  "make a user": ({ iam }) => iam.send(new CreateUserCommand({ UserName: "one-more" })),
  "list the users": ({ iam }) => iam.send(new ListUsersCommand({})),
  "make a key for another user": ({ iam, otherUser: UserName }) =>
    iam.send(new CreateAccessKeyCommand({ UserName })),
  "delete another user's key": ({ iam, otherUser: UserName, otherKeyId: AccessKeyId }) =>
    iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId })),
  "give another user every right": ({ iam, otherUser: UserName }) =>
    iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "all", PolicyDocument: ALL })),
  "attach a policy to another user": ({ iam, otherUser: UserName }) =>
    iam.send(
      new AttachUserPolicyCommand({
        UserName,
        PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess",
      }),
    ),
};

/** Of these each of the two keys may do what it is for. */
export const FORBIDDEN_TO_WRITER: Readonly<Record<string, Act>> = {
  "list the versions of its backups": ({ s3, bucket: Bucket, prefix }) =>
    s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: `${prefix}/` })),
  "read a version of a backup": ({ s3, bucket: Bucket, backup: Key, version: VersionId }) =>
    s3.send(new GetObjectCommand({ Bucket, Key, VersionId })),
};

export const FORBIDDEN_TO_READER: Readonly<Record<string, Act>> = {
  "put into the folder": (c) => put(c, `${c.prefix}/y`),
  "overwrite a backup": (c) => put(c, c.backup),
  "copy a backup within the folder": (c) => copy(c, `${c.bucket}/${c.backup}`),
  "begin an upload in the folder": ({ s3, bucket: Bucket, backup: Key }) =>
    s3.send(new CreateMultipartUploadCommand({ Bucket, Key })),
};
