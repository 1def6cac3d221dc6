import { isDeepStrictEqual } from "node:util";
import { bucketArn } from "./iamPolicies.ts";

/** A statement that forbids something to everyone, the bucket's owner included. */
export interface DenyStatement {
  readonly Sid: string;
  readonly Effect: "Deny";
  readonly Principal: "*";
  readonly Action: string;
  readonly Resource: string | readonly string[];
  readonly Condition: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A bucket policy in the language of AWS, ready for `JSON.stringify`. */
export interface BucketPolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly DenyStatement[];
}

/** How the statements of this package are called, so that they are known among those of the bucket's owner. */
const SID = "KamalPostgresBackup";

/**
 * What nobody may do to a bucket of backups, whatever rights a key has.
 * @param bucket name or ARN of the bucket
 * @param prefix folder whose uploads are judged, without slash at either end; `""`: the whole bucket
 * @param tlsOnly refuses every request over plain http. Never for a bucket that is reached over http: it would lock out
 *   its owner too
 * @param denyOverwrite refuses an upload that does not ask for the key to be free (`If-None-Match: *`). Parts and the
 *   beginning of an upload cannot carry that question and are exempt (`s3:ObjectCreationOperation`); copying an object
 *   into the bucket becomes impossible.
 *   https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 */
export function bucketPolicy({
  bucket,
  prefix,
  tlsOnly,
  denyOverwrite,
}: {
  readonly bucket: string;
  readonly prefix: string;
  readonly tlsOnly: boolean;
  readonly denyOverwrite: boolean;
}): BucketPolicyDocument {
  const arn = bucketArn(bucket);
  const deny = { Effect: "Deny", Principal: "*" } as const;
  const objects = prefix === "" ? `${arn}/*` : `${arn}/${prefix}/*`;
  const put = { ...deny, Action: "s3:PutObject", Resource: objects };
  const tls: DenyStatement = {
    Sid: `${SID}TlsOnly`,
    ...deny,
    Action: "s3:*",
    Resource: [arn, `${arn}/*`],
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  };
  // Encrypting an object over itself with a key of the caller's own is how backups are held to ransom.
  const customerKeys: DenyStatement = {
    Sid: `${SID}NoCustomerKeys`,
    ...put,
    Condition: { Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "false" } },
  };
  const newKeys: DenyStatement = {
    Sid: `${SID}OnlyNewKeys`,
    ...put,
    Condition: {
      Null: { "s3:if-none-match": "true" },
      Bool: { "s3:ObjectCreationOperation": "true" },
    },
  };
  return {
    Version: "2012-10-17",
    Statement: [...(tlsOnly ? [tls] : []), customerKeys, ...(denyOverwrite ? [newKeys] : [])],
  };
}

/** Whether two policies, given as text, say the same, whatever the order of keys, statements, and values in a set. */
export function samePolicy(before: string, after: string): boolean {
  return isDeepStrictEqual(normal(JSON.parse(before)), normal(JSON.parse(after)));
}

/**
 * The policy with the new statements in the place of those that were put there before.
 * @param found the bucket's policy, if it has one
 * @param own policy with the new statements; undefined takes them out
 * @returns undefined when no statement is left
 */
export function mergePolicy(
  found: string | undefined,
  own: string | undefined,
): string | undefined {
  const policy = found === undefined ? { Version: "2012-10-17" } : JSON.parse(found);
  const foreign = statementsOf(found).filter((statement) => !isOwn(statement));
  const Statement = [...foreign, ...statementsOf(own)];
  return Statement.length === 0 ? undefined : JSON.stringify({ ...policy, Statement });
}

/** The statements of this package in a bucket's policy, as a policy of their own. */
export function ownPolicy(found: string | undefined): string | undefined {
  const Statement = statementsOf(found).filter(isOwn);
  return Statement.length === 0
    ? undefined
    : JSON.stringify({ Version: "2012-10-17", Statement } satisfies object);
}

interface Statement {
  readonly Sid?: string;
}

function statementsOf(policy: string | undefined): Statement[] {
  if (policy === undefined) return [];
  const { Statement = [] } = JSON.parse(policy) as { Statement?: Statement | Statement[] };
  return Array.isArray(Statement) ? Statement : [Statement];
}

function isOwn({ Sid = "" }: Statement): boolean {
  return Sid.startsWith(SID);
}

/** One spelling of a document: a list of one is its element, lists are sorted. */
function normal(value: unknown): unknown {
  if (Array.isArray(value)) {
    const parts = value.map(normal);
    if (parts.length === 1) return parts[0];
    return parts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, normal(part)]),
  );
}
