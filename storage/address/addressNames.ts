/**
 * What the reader of a message called each part of a bucket's address: the variable, argument or configuration key in
 * which the wrong value stands.
 */
export interface AddressNames {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly allowInsecure: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /**
   * How to give the bucket another region, where `region` describes it and is no setting that the reader can write.
   * @default `region` is set to it
   */
  readonly regionRemedy?: string;
}

/** The variables of the agent's container. */
export const ENVIRONMENT_NAMES: AddressNames = {
  endpoint: "S3_ENDPOINT",
  region: "S3_REGION",
  bucket: "S3_BUCKET",
  prefix: "S3_PREFIX",
  allowInsecure: "S3_ALLOW_INSECURE",
  accessKeyId: "S3_ACCESS_KEY_ID",
  secretAccessKey: "S3_SECRET_ACCESS_KEY",
};

/** The same for the second bucket, which gets copies. */
export const COPY_ENVIRONMENT_NAMES: AddressNames = {
  endpoint: "COPY_S3_ENDPOINT",
  region: "COPY_S3_REGION",
  bucket: "COPY_S3_BUCKET",
  prefix: "COPY_S3_PREFIX",
  allowInsecure: "COPY_S3_ALLOW_INSECURE",
  accessKeyId: "COPY_S3_ACCESS_KEY_ID",
  secretAccessKey: "COPY_S3_SECRET_ACCESS_KEY",
};

/**
 * A setting with the value to give it, as it is written where the setting lives.
 * @example "S3_REGION=nl-ams" for a variable, "--region nl-ams" for an option, 'bucket.region: "nl-ams"' for an argument
 */
export function assignment(name: string, value: string | boolean): string {
  if (name.startsWith("--")) return value === true ? name : `${name} ${value}`;
  return /^[A-Z][A-Z0-9_]*$/.test(name) ? `${name}=${value}` : `${name}: ${JSON.stringify(value)}`;
}
