import { SSL_MODES, type SslMode } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";
import { isHostPath } from "./mounts.ts";

/** Where the container finds the file, in no folder that the image keeps certificates of its own in. */
const IN_CONTAINER = "/etc/ssl/authority-of-the-bucket.pem";

const OF_DATABASE = "/etc/ssl/authority-of-the-database.pem";
/** The authorities that everybody knows, in libpq's word. */
const PUBLIC = "system";

/** How the container reaches the server. */
export interface DatabaseTlsArgs {
  /**
   * Whether the connection to PostgreSQL is encrypted, and what the server's certificate must prove, with libpq's meaning:
   * `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`.
   * @default "prefer": encrypted where the server offers it
   * @example "verify-full"
   */
  readonly sslMode?: SslMode;
  /**
   * PEM file on the database's host with the certificates of the authorities that may have signed the server's; it is mounted into
   * the container. `"system"`: the public authorities, as managed services use them, which goes with `verify-full`.
   * @default none
   * @example "/etc/ssl/our-authority.pem"
   */
  readonly sslRootCertificate?: string;
}

/** @throws Problem for a mode that there is not, a file that cannot be mounted, or a mode that lacks one */
export function checkDatabaseTls(
  { sslMode, sslRootCertificate }: DatabaseTlsArgs,
  name: SettingName,
): void {
  const [mode, root] = [name("postgres.sslMode"), name("postgres.sslRootCertificate")];
  if (sslMode !== undefined && !SSL_MODES.includes(sslMode)) {
    throw new Problem(`${mode} "${sslMode}" must be one of ${SSL_MODES.join(", ")}.`);
  }
  if (sslRootCertificate === PUBLIC) {
    if (sslMode === undefined || sslMode === "verify-full") return;
    throw new Problem(
      `${root} "${PUBLIC}" and ${mode} "${sslMode}" contradict each other: a public authority gives a certificate to anybody, so the host's name must be compared. Set ${mode} to "verify-full".`,
    );
  }
  if (sslRootCertificate !== undefined) checkPath(root, sslRootCertificate);
  if (sslRootCertificate === undefined && (sslMode === "verify-ca" || sslMode === "verify-full")) {
    throw new Problem(
      `${mode} "${sslMode}" needs ${root}: the PEM file on the database's host with the authority's certificate, or "${PUBLIC}" for the public ones.`,
    );
  }
}

/** The container's settings for the server's TLS. */
export function databaseTlsOf({ sslMode, sslRootCertificate }: DatabaseTlsArgs): DatabaseTlsArgs {
  const root = sslRootCertificate === PUBLIC ? PUBLIC : OF_DATABASE;
  return {
    ...(sslMode !== undefined && { sslMode }),
    ...(sslRootCertificate !== undefined && { sslRootCertificate: root }),
  };
}

/** The buckets that the container reaches. */
export interface Buckets {
  readonly bucket: BackupBucket;
  readonly copy?: { readonly bucket: BackupBucket };
}

/** @throws Problem when a file cannot be mounted, or there are two */
export function checkAuthority({ bucket, copy }: Buckets, name: SettingName = asArgument): void {
  const [setting, settingOfCopy] = [name("bucket.caFile"), name("copy.bucket.caFile")];
  const first = checkedFile(setting, bucket);
  const second = copy && checkedFile(settingOfCopy, copy.bucket);
  if (first === undefined || second === undefined || first === second) return;
  throw new Problem(
    `${setting} ${first} and ${settingOfCopy} ${second} are two files, but the container reads one. Put the certificates of both authorities into one file, one behind the other, and name it in both places.`,
  );
}

/** What makes the container trust the authorities of the buckets and the server besides the public ones. */
export function trustOf(
  { bucket, copy }: Buckets,
  { sslRootCertificate }: DatabaseTlsArgs,
): {
  readonly options: Record<string, string | string[]>;
  readonly clear: Record<string, string>;
} {
  const caFile = caFileOf(bucket) ?? (copy && caFileOf(copy.bucket));
  const mounts = [
    ...(caFile === undefined ? [] : [mountOf(caFile, IN_CONTAINER)]),
    ...(sslRootCertificate === undefined || sslRootCertificate === PUBLIC
      ? []
      : [mountOf(sslRootCertificate, OF_DATABASE)]),
  ];
  const [first, ...others] = mounts;
  return {
    options: first === undefined ? {} : { mount: others.length === 0 ? first : mounts },
    clear: caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: IN_CONTAINER },
  };
}

/** Not among the volumes: there Docker would make a folder in the place of a file that is missing. */
function mountOf(file: string, target: string): string {
  return `type=bind,source=${file},target=${target},readonly`;
}

function checkedFile(setting: string, bucket: BackupBucket): string | undefined {
  const caFile = caFileOf(bucket);
  if (caFile !== undefined) checkPath(setting, caFile);
  return caFile;
}

function checkPath(setting: string, file: string): void {
  // A comma ends a word of the option.
  if (isHostPath(file) && !file.includes(",")) return;
  throw new Problem(
    `${setting} "${file}" must be an absolute path of a PEM file on the database's host, such as /etc/ssl/our-authority.pem, without blanks, commas, colons, quotes and the like.`,
  );
}

function caFileOf(bucket: BackupBucket): string | undefined {
  return "caFile" in bucket ? bucket.caFile : undefined;
}
