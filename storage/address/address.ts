import { Problem } from "../../common/problem.ts";
import { type AddressNames, assignment, ENVIRONMENT_NAMES } from "./addressNames.ts";
import { checkBucketName } from "./bucketName.ts";
import { aws, matchHost, other, type Provider } from "./providers.ts";

export { type AddressNames, COPY_ENVIRONMENT_NAMES, ENVIRONMENT_NAMES } from "./addressNames.ts";

/** The settings as a person gives them, copied from wherever a provider shows them. */
export interface AddressInput {
  /** Address of the service; absent or empty: AWS. The bucket in front of its host or as its path is understood. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  readonly bucket: string;
  /** Folder in the bucket. Slashes at the ends do not matter. */
  readonly prefix: string;
  /** Allows plain http to a host that is not loopback. @default false */
  readonly allowInsecure?: boolean | undefined;
  /** When a checksum goes with each part. @default what the provider takes */
  readonly checksums?: Provider["checksums"] | undefined;
}

/** The settings as S3 needs them: checked, and free of contradictions. */
export interface StoreAddress {
  /** Service address without bucket, path or trailing slash; absent on AWS. */
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  /** Without slash at either end. */
  readonly prefix: string;
  /** Bucket in the path instead of the host. */
  readonly forcePathStyle: boolean;
  readonly provider: Provider;
  /** One sentence for each value that was changed or looks doubtful; for a log or a warning. */
  readonly notices: readonly string[];
  /** What messages call the settings; no part of where the bucket is. */
  readonly names: AddressNames;
}

/**
 * Checks and completes endpoint, region, bucket and folder, before any network call.
 * @param names what the reader of a message called the settings @default the variables of the agent's container
 * @throws Problem that names the setting, the value and the remedy
 */
export function parseAddress(
  input: AddressInput,
  names: AddressNames = ENVIRONMENT_NAMES,
): StoreAddress {
  const notices: string[] = [];
  const givenBucket = input.bucket.trim();
  const url = parseEndpoint(input.endpoint?.trim() ?? "", names);
  const bucket = resolveBucketName(givenBucket, url, names, notices);
  checkBucketName(bucket, names);
  const prefix = normalisePrefix(input.prefix, names, notices);
  if (url === undefined) {
    const region = resolveRegion(input.region.trim(), undefined, aws, names, notices);
    return addressOf({ region, bucket, prefix, provider: aws, names, notices });
  }

  stripBucket(url, bucket, names, notices);
  checkTransport(url, input.allowInsecure, names);
  const known = matchHost(url.hostname);
  const { checksums } = input;
  const provider = { ...(known?.provider ?? other), ...(checksums && { checksums }) };
  const region = resolveRegion(input.region.trim(), known?.region, provider, names, notices);
  if (url.hostname === "s3.amazonaws.com") {
    notices.push(
      `${names.endpoint} ${url.origin} is AWS itself; the address of ${region} is used.`,
    );
    return addressOf({ region, bucket, prefix, provider, names, notices });
  }
  return addressOf({ endpoint: url.origin, region, bucket, prefix, provider, names, notices });
}

/**
 * Whether two addresses mean the same bucket, in whatever folder. On AWS a bucket's name is unique in all regions, and
 * one bucket has several endpoints.
 */
export function isSameBucket(a: StoreAddress, b: StoreAddress): boolean {
  if (a.bucket !== b.bucket) return false;
  const onAws = [a, b].map(({ provider }) => provider.name === "AWS");
  if (onAws.includes(true)) return !onAws.includes(false);
  return a.endpoint === b.endpoint;
}

/**
 * Judges an endpoint alone, where the bucket is not known yet.
 * @throws Problem as `parseAddress` does
 */
export function checkEndpoint(
  endpoint: string,
  allowInsecure?: boolean,
  names: AddressNames = ENVIRONMENT_NAMES,
): void {
  const url = parseEndpoint(endpoint.trim(), names);
  if (url !== undefined) checkTransport(url, allowInsecure, names);
}

/**
 * Judges an endpoint that can name no bucket, as the bucket's name is yet to be made.
 * @throws Problem as `checkEndpoint` does, and where a path or a bucket's host is given
 */
export function checkServiceAddress(
  endpoint: string,
  allowInsecure?: boolean,
  names: AddressNames = ENVIRONMENT_NAMES,
): void {
  checkEndpoint(endpoint, allowInsecure, names);
  const url = parseEndpoint(endpoint.trim(), names);
  if (url === undefined) return;
  const path = pathOf(url) ?? "";
  if (path !== "") {
    throw new Problem(
      `${names.endpoint} has a path "/${path}". The endpoint is the service address only: use ${url.origin}. A folder goes in ${names.prefix}.`,
    );
  }
  const known = matchHost(url.hostname);
  if (known?.bucket !== undefined) {
    throw new Problem(
      `${names.endpoint} names the bucket "${known.bucket}", but the bucket's name is made here. Use https://${known.service}.`,
    );
  }
}

function checkTransport(url: URL, allowInsecure: boolean | undefined, names: AddressNames): void {
  if (url.protocol === "http:" && !isLoopback(url.hostname) && allowInsecure !== true) {
    throw new Problem(
      `${names.endpoint} "${url.origin}" is plain http to another machine: backups would cross the network in clear. Use https, or set ${assignment(names.allowInsecure, true)} on a network that you trust.`,
    );
  }
}

function addressOf(parts: Omit<StoreAddress, "forcePathStyle"> & { notices: string[] }) {
  // A wildcard certificate covers one label: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
  const dotted = parts.bucket.includes(".");
  if (dotted && !parts.provider.pathStyle) {
    parts.notices.push(
      `${parts.names.bucket} ${parts.bucket} has dots, which break TLS wildcard certificates; the bucket goes into the path instead of the host.`,
    );
  }
  return { ...parts, forcePathStyle: parts.provider.pathStyle || dotted };
}

function parseEndpoint(endpoint: string, names: AddressNames): URL | undefined {
  if (endpoint === "") return undefined;
  if (!/^https?:\/\//i.test(endpoint)) {
    const hint = endpoint.includes("://") ? "use https://" : `did you mean https://${endpoint} ?`;
    throw new Problem(`${names.endpoint} "${endpoint}" has no scheme http or https; ${hint}`);
  }
  if (!URL.canParse(endpoint)) {
    throw new Problem(
      `${names.endpoint} "${endpoint}" is not an address. Use the form https://s3.REGION.PROVIDER.`,
    );
  }
  const url = new URL(endpoint);
  if (url.username !== "" || url.password !== "") {
    throw new Problem(
      `${names.endpoint} for ${url.host} has a user or password in it. Keys belong in ${names.accessKeyId} and ${names.secretAccessKey}.`,
    );
  }
  if (url.search !== "" || url.hash !== "") {
    throw new Problem(
      `${names.endpoint} "${endpoint}" has a query or fragment. Use only ${url.origin}.`,
    );
  }
  if (pathOf(url) === undefined) {
    throw new Problem(
      `${names.endpoint} "${endpoint}" has a path with a "%" that begins no character. Use only ${url.origin}.`,
    );
  }
  // The site, CDN and public hosts answer reads only, and not in S3's protocol.
  if (/\.cdn\.|s3-website|(^|\.)r2\.dev$|-static\./.test(url.hostname)) {
    throw new Problem(
      `${names.endpoint} "${endpoint}": this is a public/CDN address, not the S3 API. Use the service address that the provider documents for S3.`,
    );
  }
  return url;
}

/** The path without slashes at the ends; undefined where its escapes are none (RFC 3986, section 2.1). */
function pathOf(url: URL): string | undefined {
  try {
    return decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, "");
  } catch {
    return undefined;
  }
}

/** The bare bucket name out of what was given: the name, a host name, or nothing when the endpoint carries it. */
function resolveBucketName(
  given: string,
  url: URL | undefined,
  names: AddressNames,
  notices: string[],
): string {
  const inEndpoint = url && matchHost(url.hostname)?.bucket;
  if (given === "") {
    const name = inEndpoint ?? url?.pathname.split("/").find((part) => part !== "");
    if (name === undefined)
      throw new Problem(`${names.bucket} is empty. Set it to the bucket's name.`);
    notices.push(`${names.bucket} is empty; "${name}" was taken from ${names.endpoint}.`);
    return name;
  }
  const bare = bareBucket(given, url);
  if (bare === given) return given;
  const service = matchHost(given)?.service;
  const endpointService = url && (matchHost(url.hostname)?.service ?? url.hostname);
  if (service !== undefined && endpointService !== service) {
    const other =
      url === undefined ? `${names.endpoint} is not set` : `${names.endpoint} says ${url.host}`;
    if (url !== undefined || matchHost(given)?.provider !== aws) {
      throw new Problem(
        `${names.bucket} "${given}" looks like a host name of ${service}, but ${other}. Use ${assignment(names.bucket, bare)} and ${assignment(names.endpoint, `https://${service}`)}.`,
      );
    }
  }
  notices.push(`${names.bucket} "${given}" looks like a host name; only "${bare}" is used.`);
  return bare;
}

function bareBucket(given: string, url: URL | undefined): string {
  const known = matchHost(given)?.bucket;
  if (known !== undefined) return known;
  if (url === undefined) return given;
  if (given.endsWith(`.${url.hostname}`)) return given.slice(0, -url.hostname.length - 1);
  const first = given.split(".", 1)[0] ?? given;
  const isWholeHost = given === url.hostname && isServiceName(given.slice(first.length + 1));
  return isWholeHost ? first : given;
}

/** Takes the bucket out of the endpoint's host and path. Refuses a path or host that names something else. */
function stripBucket(url: URL, bucket: string, names: AddressNames, notices: string[]): void {
  const path = pathOf(url) ?? "";
  if (path !== "" && path !== bucket) {
    throw new Problem(
      `${names.endpoint} has a path "/${path}". The endpoint is the service address only; put the bucket in ${names.bucket}, a folder in ${names.prefix}.`,
    );
  }
  const before = url.host;
  const known = matchHost(url.hostname);
  if (known?.bucket !== undefined) {
    if (known.bucket !== bucket) {
      throw new Problem(
        `${names.endpoint} names the bucket "${known.bucket}", ${names.bucket} says "${bucket}". Use https://${known.service} as ${names.endpoint} and one bucket name.`,
      );
    }
    url.hostname = known.service;
  } else if (known === undefined && url.hostname.startsWith(`${bucket}.`)) {
    const rest = url.hostname.slice(bucket.length + 1);
    if (isServiceName(rest)) url.hostname = rest;
    else {
      notices.push(
        `${names.endpoint} ${url.host} begins with the bucket's name. If the service is at ${rest}, use that address.`,
      );
    }
  }
  if (path !== "" || url.host !== before) {
    notices.push(
      `${names.endpoint} contains the bucket name; ${url.origin} is used as the service address and ${bucket} as the bucket.`,
    );
  }
  url.pathname = "/";
}

/** Whether a host that is not in the table is called like an object store: `s3.example.com`, `minio.internal`. */
function isServiceName(host: string): boolean {
  return /^(s3|minio|storage|objects?|objectstorage|object-storage|oss|rgw|ceph|garage|seaweedfs|rustfs)([.:-]|$)/.test(
    host,
  );
}

function isLoopback(host: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
}

function resolveRegion(
  given: string,
  inHost: string | undefined,
  provider: Provider,
  names: AddressNames,
  notices: string[],
): string {
  const only = provider.fixedRegion;
  if (only !== undefined) {
    if (given !== only && given !== "") {
      notices.push(
        `${names.region} ${given} means nothing to ${provider.name}; "${only}" is used.`,
      );
    }
    return only;
  }
  if (given === "") {
    if (inHost === undefined)
      throw new Problem(`${names.region} is empty. Set it to the bucket's region.`);
    notices.push(`${names.region} is empty; "${inHost}" was taken from ${names.endpoint}.`);
    return inHost;
  }
  const region = provider.regionAlias?.[given] ?? given;
  if (inHost !== undefined && region !== inHost) {
    throw new Problem(
      `${names.endpoint} says ${inHost}, ${names.region} says ${given}. Set both to the region of the bucket.`,
    );
  }
  if (!/^[A-Za-z0-9_-]+$/.test(region)) {
    throw new Problem(`${names.region} "${given}" is not a region's name.`);
  }
  return region;
}

function normalisePrefix(given: string, names: AddressNames, notices: string[]): string {
  const parts = given
    .trim()
    .split("/")
    .filter((part) => part !== "");
  const prefix = parts.join("/");
  if (prefix === "") {
    throw new Problem(
      `${names.prefix} is empty. Set it to a folder such as backup, so that rights and expiry have a border.`,
    );
  }
  // Such characters act as wildcards or variables in access policies, which name the folder.
  if (/[*?$\\]|\p{Cc}/u.test(prefix) || parts.some((part) => part === "." || part === "..")) {
    throw new Problem(
      `${names.prefix} ${JSON.stringify(given)} has a character that access policies or services treat specially (*, ?, $, backslash, control characters, "." or ".." as a folder). Choose another folder.`,
    );
  }
  if (prefix !== given) notices.push(`${names.prefix} "${given}" is used as "${prefix}".`);
  return prefix;
}
