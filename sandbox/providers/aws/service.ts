import { IAMClient } from "@aws-sdk/client-iam";
import { S3Client } from "@aws-sdk/client-s3";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`the stand-in for the aws provider needs ${name} in its environment`);
  return value;
}

/** The region that the sandbox's S3 service claims to be in. */
export const region = setting("SANDBOX_S3_REGION");

const client = {
  endpoint: setting("SANDBOX_S3_ENDPOINT"),
  region,
  credentials: {
    accessKeyId: setting("SANDBOX_S3_ACCESS_KEY_ID"),
    secretAccessKey: setting("SANDBOX_S3_SECRET_ACCESS_KEY"),
  },
};
export const s3 = new S3Client({ ...client, forcePathStyle: true });
/** The sandbox's service answers the IAM API at the same address as S3. */
export const iam = new IAMClient(client);

let before: Promise<unknown> = Promise.resolve();

/**
 * Runs one piece of work after the one before: the sandbox's service keeps a bucket's settings in one record, and two
 * changes at the same time can lose one. A failure says what was being done, as the real provider's does.
 */
export async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    const mine = before.then(work);
    before = mine.catch(() => {});
    return await mine;
  } catch (error) {
    const { name, message } = error as Error;
    throw new Error(`${what}: api error ${name}: ${message}`, { cause: error });
  }
}

/** Runs one piece of work; undefined when the service answers with one of the given error codes. */
export async function unless<T>(codes: readonly string[], work: () => Promise<T>) {
  try {
    return await work();
  } catch (error) {
    if (codes.includes((error as Error).name)) return undefined;
    throw error;
  }
}

/** `tags` as the SDK has them. */
export function toTagList(tags: Record<string, string> | undefined) {
  return Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
}

/** Tags as the provider has them; undefined for none. */
export function fromTagList(
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[],
) {
  if (tags.length === 0) return undefined;
  return Object.fromEntries(tags.map(({ Key = "", Value = "" }) => [Key, Value]));
}
