/** An access policy in the language of AWS IAM, ready for `JSON.stringify`. */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: string;
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

/**
 * What the key on the database host may do: add backups under its folder and, with `read`, list and read them there.
 * It may not delete, nor touch lifecycle, versioning, lock, policy or another folder.
 * @param bucket name or ARN of the bucket
 * @param prefix folder, without slash at either end
 * @param read false: the key can only add; listing and restoring need another key
 * @param kmsKey ARN of the KMS key that encrypts the bucket, if one does
 */
export function writerPolicy({
  bucket,
  prefix,
  read,
  kmsKey,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly read: boolean;
  readonly kmsKey?: string | undefined;
}): PolicyDocument {
  const { arn, objects } = resources(bucket, prefix);
  const readStatements: PolicyStatement[] = [
    { Sid: "Get", Effect: "Allow", Action: ["s3:GetObject"], Resource: objects },
    {
      Sid: "List",
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: arn,
      Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } },
    },
  ];
  return {
    Version: "2012-10-17",
    Statement: [
      {
        // Creating and completing a multipart upload and sending its parts are all PutObject. Not with a key of the
        // caller's own: encrypting an object over itself with one is how backups are held to ransom. A condition here
        // rather than a Deny of its own, because some services know only Allow.
        Sid: "Put",
        Effect: "Allow",
        Action: ["s3:PutObject"],
        Resource: objects,
        Condition: { Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "true" } },
      },
      {
        Sid: "Parts",
        Effect: "Allow",
        Action: ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        Resource: objects,
      },
      // A multipart upload decrypts too: the service reads the parts back to join them.
      ...(kmsKey === undefined
        ? []
        : [use("Encrypt", ["kms:GenerateDataKey", "kms:Decrypt"], kmsKey)]),
      ...(read ? readStatements : []),
    ],
  };
}

/**
 * What the key for restoring from elsewhere may do, where the host's own key cannot read or is gone: list and read under
 * the folder, older versions included, because they are what is left after an overwrite or a deletion.
 * @param bucket name or ARN of the bucket
 * @param prefix folder, without slash at either end
 * @param kmsKey ARN of the KMS key that encrypts the bucket, if one does
 */
export function readerPolicy({
  bucket,
  prefix,
  kmsKey,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly kmsKey?: string | undefined;
}): PolicyDocument {
  const { arn, objects } = resources(bucket, prefix);
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "Get",
        Effect: "Allow",
        Action: ["s3:GetObject", "s3:GetObjectVersion"],
        Resource: objects,
      },
      {
        Sid: "List",
        Effect: "Allow",
        Action: ["s3:ListBucket", "s3:ListBucketVersions"],
        Resource: arn,
        Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } },
      },
      {
        Sid: "Location",
        Effect: "Allow",
        Action: ["s3:GetBucketLocation"],
        Resource: arn,
      },
      ...(kmsKey === undefined ? [] : [use("Decrypt", ["kms:Decrypt"], kmsKey)]),
    ],
  };
}

/** ARN of a bucket, from its name or its ARN. */
export function bucketArn(bucket: string): string {
  return bucket.startsWith("arn:") ? bucket : `arn:aws:s3:::${bucket}`;
}

function resources(bucket: string, prefix: string) {
  const arn = bucketArn(bucket);
  return { arn, objects: `${arn}/${prefix}/*` };
}

function use(Sid: string, Action: readonly string[], kmsKey: string): PolicyStatement {
  return { Sid, Effect: "Allow", Action, Resource: kmsKey };
}
