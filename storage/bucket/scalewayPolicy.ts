import type { KeyAccess } from "./probeKey.ts";

/** A bucket policy in Scaleway's dialect, ready for `JSON.stringify`. */
export interface ScalewayPolicy {
  readonly Version: "2023-04-17";
  readonly Statement: readonly ScalewayStatement[];
}

interface ScalewayStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  /** `user_id:ID` and `application_id:ID`. */
  readonly Principal: { readonly SCW: readonly string[] };
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: { readonly StringLike: { readonly "s3:prefix": readonly string[] } };
}

/**
 * Who may do what in a bucket of backups at Scaleway. Such a policy has no use for Deny: it shuts out everyone it does not
 * name, and grants nothing that IAM does not grant too. So a key whose permission sets could delete in the whole project
 * cannot do so here. Actions and conditions are those of Scaleway's page "Bucket policies overview" of July 2025.
 * @param prefix folder, without slash at either end; "": the whole bucket
 * @param administrators principals that keep every right
 * @param writer id of the IAM application whose key is in the container
 */
export function scalewayPolicy({
  bucket,
  prefix,
  administrators,
  writer,
  access,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly administrators: readonly string[];
  readonly writer: string;
  readonly access: KeyAccess;
}): ScalewayPolicy {
  const Principal = { SCW: [`application_id:${writer}`] };
  const objects = [prefix === "" ? `${bucket}/*` : `${bucket}/${prefix}/*`];
  const folder =
    prefix === ""
      ? {}
      : { Condition: { StringLike: { "s3:prefix": [prefix, `${prefix}/*`] } } as const };
  const reads: ScalewayStatement[] = [
    { Sid: "Get", Effect: "Allow", Principal, Action: ["s3:GetObject"], Resource: objects },
    {
      Sid: "List",
      Effect: "Allow",
      Principal,
      Action: ["s3:ListBucket"],
      Resource: [bucket],
      ...folder,
    },
  ];
  return {
    Version: "2023-04-17",
    Statement: [
      {
        Sid: "Administrators",
        Effect: "Allow",
        Principal: { SCW: administrators },
        Action: ["s3:*"],
        Resource: [bucket, `${bucket}/*`],
      },
      {
        Sid: "Put",
        Effect: "Allow",
        Principal,
        Action: ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        Resource: objects,
      },
      ...(access === "restorable" ? reads : []),
    ],
  };
}

/**
 * IAM permission sets that must be granted so that the policy can grant the same. Dropping an unfinished upload is part
 * of the set for deleting.
 */
export function scalewayPermissionSets(access: KeyAccess): string[] {
  return [
    "ObjectStorageObjectsWrite",
    "ObjectStorageObjectsDelete",
    ...(access === "restorable" ? ["ObjectStorageObjectsRead"] : []),
  ];
}
