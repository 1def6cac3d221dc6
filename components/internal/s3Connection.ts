import { Problem } from "../../common/problem.ts";
import { type AddressNames, parseAddress } from "../../storage/address/address.ts";
import { type Software, software } from "../../storage/address/providers.ts";
import { openStore, type Store } from "../../storage/s3/client.ts";
import { useContentMd5 } from "../../storage/s3/contentMd5.ts";
import { explain } from "../../storage/s3/errors.ts";

/** A bucket and the keys of whoever may set it up, as plain values in a dynamic resource's inputs. Secret as a whole. */
export interface S3Connection {
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  readonly service?: Software;
  readonly allowInsecure: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Names of the settings for a reader who wrote them as arguments of an `S3CompatibleBucket`. */
const NAMES: AddressNames = {
  endpoint: "endpoint",
  region: "region",
  bucket: "name",
  prefix: "prefix",
  allowInsecure: "allowInsecure",
  accessKeyId: "administrator.accessKeyId",
  secretAccessKey: "administrator.secretAccessKey",
};

/** Runs one piece of work on the bucket. A failure says what was being done. */
export async function onBucket<T>(
  connection: S3Connection,
  what: string,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const { service, accessKeyId, secretAccessKey, ...where } = connection;
  // A bucket's settings have no folder, which an address must have.
  const address = parseAddress({ ...where, prefix: "settings" }, NAMES);
  const provider = service === undefined ? address.provider : software[service];
  const store = openStore({ ...address, provider }, { accessKeyId, secretAccessKey });
  useContentMd5(store.client);
  try {
    return await work(store);
  } catch (error) {
    if (isUnknownToService(error)) {
      throw new Problem(
        `cannot ${what} of bucket ${address.bucket}: ${provider.name} does not know this. Take it out of what is asked with the argument abilities.`,
      );
    }
    throw explain(error, address, `${what} of bucket ${address.bucket}`);
  } finally {
    store.client.destroy();
  }
}

/** Runs one request; undefined when the service answers with one of these error codes. */
export async function unless<T>(codes: readonly string[], ask: () => Promise<T>) {
  try {
    return await ask();
  } catch (error) {
    if (codes.includes((error as Error).name)) return undefined;
    throw error;
  }
}

/** Whether two connections lead to the same bucket, whatever keys they carry. */
export function sameBucket(a: S3Connection, b: S3Connection): boolean {
  return a.endpoint === b.endpoint && a.bucket === b.bucket;
}

function isUnknownToService(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  return error.name === "NotImplemented" || status === 501 || status === 405;
}
