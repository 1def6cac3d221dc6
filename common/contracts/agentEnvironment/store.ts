import * as z from "zod";
import { checksums, flag, nonDefault, required } from "./variables.ts";

/** A bucket, with the key that the agent has for it. */
export interface StoreSettings {
  /** Service address; absent: AWS. */
  readonly endpoint?: string;
  /** @default us-west-1 */
  readonly region: string;
  readonly bucket: string;
  /** Folder in the bucket, without slash at either end. @default backup */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Allows plain http to a host that is not loopback. @default false */
  readonly allowInsecure: boolean;
  /**
   * When a checksum goes with each part: a bucket with Object Lock takes none without. `S3_CHECKSUMS`
   * @default what the provider takes
   */
  readonly checksums?: "when-supported" | "when-required";
}

export const storeVariables = {
  S3_ENDPOINT: z.string().optional(),
  S3_REGION: z.string().default("us-west-1"),
  S3_BUCKET: required("S3_BUCKET"),
  S3_PREFIX: z.string().default("backup"),
  S3_ACCESS_KEY_ID: required("S3_ACCESS_KEY_ID"),
  S3_SECRET_ACCESS_KEY: required("S3_SECRET_ACCESS_KEY"),
  S3_ALLOW_INSECURE: flag("S3_ALLOW_INSECURE", "false"),
  S3_CHECKSUMS: checksums("S3_CHECKSUMS"),
};

type Variables = z.infer<z.ZodObject<typeof storeVariables>>;

export function storeClearEnv(store: StoreSettings): Record<string, string> {
  return nonDefault([
    ["S3_ENDPOINT", store.endpoint],
    ["S3_REGION", store.region],
    ["S3_BUCKET", store.bucket],
    ["S3_PREFIX", store.prefix, "backup"],
    ["S3_ALLOW_INSECURE", store.allowInsecure, "false"],
    ["S3_CHECKSUMS", store.checksums],
  ]);
}

export function storeSecretEnv(store: StoreSettings): Record<string, string> {
  return { S3_ACCESS_KEY_ID: store.accessKeyId, S3_SECRET_ACCESS_KEY: store.secretAccessKey };
}

export function parseStore(e: Variables): StoreSettings {
  return {
    ...(e.S3_ENDPOINT !== undefined && { endpoint: e.S3_ENDPOINT }),
    region: e.S3_REGION,
    bucket: e.S3_BUCKET,
    prefix: e.S3_PREFIX,
    accessKeyId: e.S3_ACCESS_KEY_ID,
    secretAccessKey: e.S3_SECRET_ACCESS_KEY,
    allowInsecure: e.S3_ALLOW_INSECURE === "true",
    ...(e.S3_CHECKSUMS !== undefined && { checksums: e.S3_CHECKSUMS }),
  };
}
