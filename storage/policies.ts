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
 */
export function writerPolicy({
  bucket,
  prefix,
  read,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly read: boolean;
}): PolicyDocument {
  const { bucketArn, objects } = resources(bucket, prefix);
  const readStatements: PolicyStatement[] = [
    { Sid: "Get", Effect: "Allow", Action: ["s3:GetObject"], Resource: objects },
    {
      Sid: "List",
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: bucketArn,
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
      ...(read ? readStatements : []),
    ],
  };
}

/**
 * What the key for restoring from elsewhere may do, where the host's own key cannot read or is gone: list and read under
 * the folder, older versions included, because they are what is left after an overwrite or a deletion.
 * @param bucket name or ARN of the bucket
 * @param prefix folder, without slash at either end
 */
export function readerPolicy({
  bucket,
  prefix,
}: {
  readonly bucket: string;
  readonly prefix: string;
}): PolicyDocument {
  const { bucketArn, objects } = resources(bucket, prefix);
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
        Resource: bucketArn,
        Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } },
      },
      {
        Sid: "Location",
        Effect: "Allow",
        Action: ["s3:GetBucketLocation"],
        Resource: bucketArn,
      },
    ],
  };
}

function resources(bucket: string, prefix: string) {
  const bucketArn = bucket.startsWith("arn:") ? bucket : `arn:aws:s3:::${bucket}`;
  return { bucketArn, objects: `${bucketArn}/${prefix}/*` };
}
