import { Problem } from "../../common/problem.ts";
import type { StoreAddress } from "../address/address.ts";
import { type AddressNames, assignment } from "../address/addressNames.ts";

/** The parts of an SDK or network error that show its cause. */
interface Symptoms {
  readonly name: string;
  readonly message: string;
  /** Node's error code, `ENOTFOUND`. */
  readonly code: string;
  readonly status: number | undefined;
  /** Region that AWS names as the right one. */
  readonly region: string | undefined;
  /** Start of an answer that was no S3 answer. */
  readonly body: string | undefined;
}

interface Place {
  readonly bucket: string;
  readonly folder: string;
  /** Service address as a reader knows it. */
  readonly service: string;
  readonly region: string;
  /** What the reader called the settings. */
  readonly names: AddressNames;
}

type Row = readonly [
  matches: (s: Symptoms) => boolean,
  sentence: (place: Place, s: Symptoms) => string,
];

function named(...names: string[]) {
  return (s: Symptoms) => names.includes(s.name) || names.includes(s.code);
}

/**
 * The first row that matches gives the sentence. Order: from the clearest sign to the least clear.
 * Names of S3's errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 * Codes of the network: https://nodejs.org/api/errors.html and https://nodejs.org/api/tls.html
 */
const rows: readonly Row[] = [
  [
    named("NoSuchKey"),
    (p) =>
      `the service answered NoSuchKey. If this was not a read of one object, the address contains the bucket: ${p.names.endpoint} must be the service address alone (now ${p.service}) and ${p.names.bucket} the bare name (now ${p.bucket}).`,
  ],
  [
    named("NoSuchBucket"),
    (p) =>
      `bucket ${p.bucket} was not found at ${p.service}. Check its name, ${p.names.region} (${p.region}), and whether it belongs to another project, account or jurisdiction of the provider.`,
  ],
  [
    named("InvalidAccessKeyId"),
    (p) =>
      `${p.service} does not know the access key id. It was deleted, or is a key of another provider, region or project: check ${p.names.accessKeyId}.`,
  ],
  [
    named("ExpiredToken", "TokenRefreshRequired", "InvalidToken"),
    (p) =>
      `${p.service} says that the access key has expired. Give ${p.names.accessKeyId} and ${p.names.secretAccessKey} of a key that lasts.`,
  ],
  [
    (s) =>
      named(
        "QuotaExceeded",
        "InsufficientStorage",
        "XMinioStorageFull",
        "QuotaExceededException",
      )(s) || s.status === 507,
    (p) =>
      `bucket ${p.bucket} at ${p.service} is full, or its quota is used up. Make room: raise the quota, or shorten the retention.`,
  ],
  [
    named("SignatureDoesNotMatch"),
    (p) =>
      `${p.service} refused the signature: ${p.names.secretAccessKey} is wrong, or a proxy changes the requests, or ${p.names.region} (${p.region}) is not the bucket's.`,
  ],
  [
    named("RequestTimeTooSkewed", "RequestExpired"),
    (p) =>
      `the clock of this machine (${new Date().toISOString()}) differs too much from that of ${p.service}. Set the clock (NTP).`,
  ],
  [
    (s) =>
      named("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint")(s) ||
      (s.status !== undefined && s.status >= 300 && s.status < 400),
    (p, s) => `bucket ${p.bucket} is not in region ${p.region}${regionRemedy(p.names, s.region)}.`,
  ],
  [
    isDenial,
    (p) =>
      `the access key may not do this in ${p.bucket}/${p.folder} at ${p.service}. Check the key's policy, the bucket's policy, and that the key is of the bucket's project.`,
  ],
  [
    (s) => s.status === 403 || s.status === 401,
    (p, s) =>
      `${p.service} refused it with ${s.status} ${s.name}: ${s.message}. Check the access key, and its account at the provider.`,
  ],
  [
    named("NoSuchUpload"),
    (p) =>
      `${p.service} knows nothing of this upload, or no longer: its parts were acknowledged and not kept, or a rule for unfinished uploads dropped them. Run it again; if that fails too, check ${p.names.endpoint} and any proxy.`,
  ],
  [
    named("PreconditionFailed"),
    (p) =>
      `the object exists already in ${p.bucket}/${p.folder}; nothing was overwritten. Another run wrote the same name.`,
  ],
  [
    named("ConditionalRequestConflict", "OperationAborted"),
    (p) => `another run changed the same object in ${p.bucket}/${p.folder} just now. Run it again.`,
  ],
  [
    (s) => /Object Lock parameters/i.test(s.message),
    (p) => `bucket ${p.bucket} has Object Lock, which demands a checksum on each upload.`,
  ],
  [
    damaged,
    (p) =>
      `the data was changed on its way to ${p.service}, also after several tries: its checksum is another there. Check the network and any proxy, then run it again.`,
  ],
  [
    (s) =>
      named("NotImplemented", "InvalidDigest", "MissingContentLength")(s) ||
      /x-amz-checksum|x-amz-content-sha256|Checksum Type mismatch/i.test(s.message),
    (p, s) => `${p.service} does not support a part of the request (${s.name}: ${s.message}).`,
  ],
  [
    named("EntityTooSmall", "EntityTooLarge", "InvalidPart", "InvalidPartOrder"),
    (p, s) => `${p.service} refused the size or number of the parts (${s.name}: ${s.message}).`,
  ],
  [
    (s) => named("SlowDown", "TooManyRequests", "ServiceUnavailable")(s) || s.status === 429,
    (p) => `${p.service} is overloaded or limits the rate, also after several tries. Run it later.`,
  ],
  [
    named("ENOTFOUND", "EAI_AGAIN"),
    (p) =>
      `the host of ${p.service} was not found in DNS. Check ${p.names.endpoint} and ${p.names.region} (${p.region}) for a slip, and that no bucket name stands in front of the host.`,
  ],
  [
    named("ECONNREFUSED"),
    (p) => `${p.service} refuses connections. Check its port, and whether the service runs.`,
  ],
  // Before the next row: the SDK gives these the name of a timeout.
  [
    named("ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"),
    (p) => `the connection to ${p.service} broke, also after several tries. Run it again.`,
  ],
  [
    (s) =>
      named("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "TimeoutError", "RequestTimeout")(s) ||
      /timed? ?out/i.test(s.message),
    (p) =>
      `${p.service} did not answer in time, also after several tries. Check the network, the firewall, and ${p.names.endpoint}.`,
  ],
  [
    named(
      "SELF_SIGNED_CERT_IN_CHAIN",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    ),
    (p, s) =>
      `the TLS connection to ${p.service} failed (${s.code}): its certificate is of an authority that is not known here. If it is one of your own, name the file with its certificate: caFile in the program, NODE_EXTRA_CA_CERTS elsewhere.`,
  ],
  [
    named("CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"),
    (p, s) =>
      `the TLS connection to ${p.service} failed (${s.code}): its certificate is not valid at the time of this machine, ${new Date().toISOString()}. Renew the certificate, or set the clock (NTP).`,
  ],
  [
    (s) => /wrong version number/i.test(s.message),
    (p) => `${p.service} does not speak TLS at that port. Check the port of ${p.names.endpoint}.`,
  ],
  [
    (s) =>
      s.code.startsWith("ERR_TLS_") ||
      /certificate|CERT_|SSL routines/i.test(`${s.code} ${s.message}`),
    (p, s) =>
      `the TLS connection to ${p.service} failed (${s.code || s.message}). Check that ${p.names.endpoint} is the service address, without a bucket in front.`,
  ],
  [
    (s) => /Deserialization error|is not expected|char '.*' is not/i.test(s.message),
    (p, s) =>
      `${p.service} did not answer in S3's language; is it a web page? Its answer begins: ${JSON.stringify((s.body ?? s.message).slice(0, 80))}. Check ${p.names.endpoint}.`,
  ],
  [
    (s) => s.status !== undefined && s.status >= 500,
    (p, s) =>
      `${p.service} failed with ${s.status} ${s.name}, also after several tries. Run it later.`,
  ],
];

/** @param region the right one, where the service names it */
function regionRemedy(names: AddressNames, region: string | undefined): string {
  if (names.regionRemedy !== undefined) {
    const found =
      region === undefined ? ". Look its region up at the provider" : ` but in ${region}`;
    return `${found}. ${names.regionRemedy}`;
  }
  const set =
    region === undefined
      ? `${names.region} to the bucket's region`
      : assignment(names.region, region);
  return `. Set ${set}`;
}

/**
 * Turns an error of the S3 client into a Problem that says what to do; other errors come back as they are.
 * @param error whatever was caught
 * @param what the action that failed, to follow "cannot", e.g. `list the backups of shop`
 */
export function explain(error: unknown, address: StoreAddress, what: string): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof Problem || error.name === "AbortError") return error;
  // Without a cause, which callers take for what the service refused.
  if (error instanceof AnswerError) return new Problem(`cannot ${what}: ${error.message}`);
  const symptoms = symptomsOf(error);
  const row = rows.find(([matches]) => matches(symptoms));
  if (row === undefined) return error;
  const place = {
    bucket: address.bucket,
    folder: address.prefix,
    service: address.endpoint ?? `AWS (${address.region})`,
    region: address.region,
    names: address.names,
  };
  return new Problem(`cannot ${what}: ${row[1](place, symptoms)}`, { cause: error });
}

/** An answer that cannot be right, though the service calls it a success. Its message ends the sentence of `explain`. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

/** For an answer without what S3 always says: a web page may pass for an empty one. */
export function notS3({ endpoint, names }: StoreAddress): AnswerError {
  return new AnswerError(
    `${endpoint ?? "AWS"} did not answer in S3's language. Check ${names.endpoint}.`,
  );
}

/** Whether an object or upload that was asked for is simply not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && named("NoSuchKey", "NotFound")(symptomsOf(error));
}

/** Whether a conditional write was refused because the key exists. */
export function isTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const symptoms = symptomsOf(error);
  return symptoms.name === "PreconditionFailed" || symptoms.status === 412;
}

/** Whether the key may not do this. A key that has expired, was deleted or signs wrongly is another matter. */
export function isDenied(error: unknown): boolean {
  return error instanceof Error && isDenial(symptomsOf(error));
}

/** Whether the service found that the bytes of a request are not those that were sent. */
export function isDamagedOnTheWay(error: unknown): boolean {
  return error instanceof Error && damaged(symptomsOf(error));
}

function isDenial(s: Symptoms): boolean {
  if (named("AccessDenied", "AllAccessDisabled", "Forbidden")(s)) return true;
  // An answer to HEAD names no error, and the SDK has several words for that.
  return s.status === 403 && ["", "403", "Error", "Unknown", "UnknownError"].includes(s.name);
}

function damaged(s: Symptoms): boolean {
  // The last is S3's for an `x-amz-checksum-...` that does not fit the body.
  return named("XAmzContentSHA256Mismatch", "BadDigest", "XAmzContentChecksumMismatch")(s);
}

/** Whether the service has answered that it does not do this, now or ever: trying again would not help. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { status = 0 } = symptomsOf(error);
  return status >= 400 && status < 500 && status !== 429;
}

function symptomsOf(error: Error): Symptoms {
  const e = error as Error & {
    code?: unknown;
    $metadata?: { httpStatusCode?: number };
    $response?: { headers?: Record<string, string>; body?: unknown };
    Region?: unknown;
    errors?: unknown;
  };
  // Node collects the failures of the several addresses of a host in an AggregateError without a code of its own.
  const first = Array.isArray(e.errors) && e.errors[0] instanceof Error ? e.errors[0] : undefined;
  const code = e.code ?? (first as { code?: unknown } | undefined)?.code;
  const region = e.Region ?? e.$response?.headers?.["x-amz-bucket-region"];
  return {
    name: error.name,
    message: error.message,
    code: typeof code === "string" ? code : "",
    status: e.$metadata?.httpStatusCode,
    region: typeof region === "string" ? region : undefined,
    body: typeof e.$response?.body === "string" ? e.$response.body : undefined,
  };
}
