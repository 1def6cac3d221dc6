import { randomUUID } from "node:crypto";
import {
  CompleteMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
} from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../s3/client.ts";
import { explain, isDenied } from "../s3/errors.ts";
import { probeWrite } from "../s3/writeProbe.ts";

/**
 * What the key on the database host may do with the backups. `restorable`: add, list and read, so that a restore works
 * from the host. `append-only`: add alone; a restore needs the reader's key.
 */
export type KeyAccess = "restorable" | "append-only";

/** A right that the key on a database host should not have. */
export type ExcessRight = "read" | "delete" | "overwrite" | "lifecycle" | "versioning" | "policy";

type Answer = "allowed" | "refused" | "unknown";

/**
 * Tries a key for what it must be able to do, and for what it must not. Nothing is changed and nothing is left in the
 * bucket, whatever the key may do.
 * @returns rights that the key has and should not have; a right that the service gives no answer about is not among them
 * @throws Problem when the key cannot do what it must, or the service does not answer
 */
export async function probeKey(store: Store, access: KeyAccess): Promise<ExcessRight[]> {
  await probeWrite(store);
  const { address } = store;
  const place = `${address.bucket}/${address.prefix}`;
  try {
    const reading = await readAnswers(store);
    if (access === "restorable" && reading.some((answer) => answer !== "allowed")) {
      throw new Problem(
        `the access key may add backups to ${place}, but not list and read them, so nothing could be restored from the host. Allow s3:ListBucket and s3:GetObject under the folder, or declare keys.access "append-only".`,
      );
    }
    const excess: ExcessRight[] = [];
    if (access === "append-only" && reading.includes("allowed")) excess.push("read");
    if (await mayDelete(store)) excess.push("delete");
    if (await mayOverwrite(store)) excess.push("overwrite");
    for (const [right, command] of settings(address.bucket)) {
      if ((await answerToBroken(store, command)) === "allowed") excess.push(right);
    }
    return excess;
  } catch (error) {
    throw explain(error, address, `try the access key in ${place}`);
  }
}

/** Listing and reading; a restore needs both. A key that may read gets NoSuchKey. */
async function readAnswers({ client, address }: Store): Promise<readonly Answer[]> {
  const { bucket: Bucket, prefix } = address;
  const list = await answerOf(
    () => client.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/`, MaxKeys: 1 })),
    [],
  );
  const get = await answerOf(
    () => client.send(new GetObjectCommand({ Bucket, Key: strangeKey(prefix) })),
    ["NoSuchKey", "NotFound"],
  );
  return [list, get];
}

/**
 * Deleting the version `null` of a key that never was leaves nothing, in a versioned bucket too, where deleting without a
 * version would leave a delete marker. That shows whether it may delete for good. The right to delete by name alone can be tried
 * only where no marker would be left: where versioning can be seen to be off. Where it is on, such a deletion hides a
 * backup and its version stays.
 */
async function mayDelete({ client, address }: Store): Promise<boolean> {
  const target = { Bucket: address.bucket, Key: strangeKey(address.prefix) };
  const forGood = await answerOf(
    () => client.send(new DeleteObjectCommand({ ...target, VersionId: "null" })),
    ["NoSuchVersion", "NoSuchKey"],
  );
  if (forGood === "allowed") return true;
  let status: string | undefined = "unseen";
  const seen = await answerOf(async () => {
    const answer = await client.send(new GetBucketVersioningCommand({ Bucket: target.Bucket }));
    status = answer.Status;
  }, []);
  if (seen !== "allowed" || status !== undefined) return false;
  const byName = await answerOf(
    () => client.send(new DeleteObjectCommand(target)),
    ["NoSuchKey", "NotFound"],
  );
  return byName === "allowed";
}

/**
 * Completes an upload that never was, without asking for the key to be free. Rights are judged first: where a policy demands
 * the question (`s3:if-none-match`), the answer is AccessDenied, else NoSuchUpload. Nothing can come of it.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
 */
async function mayOverwrite({ client, address }: Store): Promise<boolean> {
  const answer = await answerOf(
    () =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket: address.bucket,
          Key: strangeKey(address.prefix),
          UploadId: randomUUID(),
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag: '"0"' }] },
        }),
      ),
    ["NoSuchUpload", "NoSuchKey", "NotFound", "InvalidPart"],
  );
  return answer === "allowed";
}

type SettingCommand =
  | PutBucketLifecycleConfigurationCommand
  | PutBucketPolicyCommand
  | PutBucketVersioningCommand;

function settings(Bucket: string): [ExcessRight, SettingCommand][] {
  return [
    [
      "lifecycle",
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [] } }),
    ],
    ["versioning", new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: {} })],
    ["policy", new PutBucketPolicyCommand({ Bucket, Policy: "{" })],
  ];
}

/**
 * Sends a setting of the bucket whose document breaks off after its first character, so that no service can accept it.
 * The right is judged before the document is read: a key without it is refused (AccessDenied), one with it gets MalformedXML
 * or MalformedPolicy.
 */
function answerToBroken({ client }: Store, setting: SettingCommand): Promise<Answer> {
  // Any one type of the three does: what the middleware touches is the same in all.
  const command = setting as PutBucketPolicyCommand;
  const broken = setting instanceof PutBucketPolicyCommand ? "{" : "<";
  // Before checksum and length are computed, and before the signature.
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { body: string }).body = broken;
      return next(args);
    },
    { step: "build", priority: "high", name: "breakDocument" },
  );
  return answerOf(
    () => client.send(command),
    ["MalformedXML", "MalformedPolicy", "MalformedPolicyDocument"],
  );
}

/** @param proofs errors that only a key with the right gets to see */
async function answerOf(send: () => Promise<unknown>, proofs: readonly string[]): Promise<Answer> {
  try {
    await send();
    return "allowed";
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (isDenied(error) || status === 403) return "refused";
    if (error instanceof Error && proofs.includes(error.name)) return "allowed";
    // 501 and the like: the service does not know the request, so the key cannot do harm with it either.
    if (status !== undefined && (status < 500 || status === 501)) return "unknown";
    throw error;
  }
}

function strangeKey(prefix: string): string {
  return `${prefix}/.probe-${randomUUID()}`;
}

/** What an excess right means, and what to do about it. */
export function describeExcess(right: ExcessRight, service: string): string {
  const key = `the access key on the database host at ${service}`;
  switch (right) {
    case "read":
      return `${key} can read backups although it was declared append-only. Take s3:GetObject and s3:ListBucket from it.`;
    case "delete":
      return `${key} can delete backups, and so can whoever steals it. Give it a policy without s3:DeleteObject and s3:DeleteObjectVersion; where keys cannot be limited so far, turn on Object Lock (a bucket lock at R2), or copy the backups to a second bucket with other keys.`;
    case "overwrite":
      return `whoever may add backups at ${service} may overwrite them, too, since no policy demands If-None-Match there. Turn on versioning: then restore finds the version that was written first, for as long as the bucket's rules keep older versions. Object Lock keeps it longer.`;
    case "lifecycle":
      return `${key} can change the bucket's expiry rules, and an expiry of one day deletes everything. Take s3:PutLifecycleConfiguration from it; where keys cannot be limited so far, turn on Object Lock.`;
    case "versioning":
      return `${key} can suspend the bucket's versioning, so that overwritten backups are lost. Take s3:PutBucketVersioning from it; where keys cannot be limited so far, turn on Object Lock.`;
    case "policy":
      return `${key} can change the bucket's policy, and so give itself every other right. Take s3:PutBucketPolicy from it.`;
  }
}
