import { Problem } from "../../common/problem.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";
import { isHostPath } from "./mounts.ts";

/** Where the container finds the file, in no folder that the image keeps certificates of its own in. */
const IN_CONTAINER = "/etc/ssl/authority-of-the-bucket.pem";

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

/** What makes the container trust the buckets' authority besides the public ones. */
export function trustOf({ bucket, copy }: Buckets): {
  readonly options: Record<string, string>;
  readonly clear: Record<string, string>;
} {
  const caFile = caFileOf(bucket) ?? (copy && caFileOf(copy.bucket));
  if (caFile === undefined) return { options: {}, clear: {} };
  return {
    // Not among the volumes: there Docker would make a folder in the place of a file that is missing.
    options: { mount: `type=bind,source=${caFile},target=${IN_CONTAINER},readonly` },
    clear: { NODE_EXTRA_CA_CERTS: IN_CONTAINER },
  };
}

function checkedFile(setting: string, bucket: BackupBucket): string | undefined {
  const caFile = caFileOf(bucket);
  // A comma ends a word of the option.
  if (caFile === undefined || (isHostPath(caFile) && !caFile.includes(","))) return caFile;
  throw new Problem(
    `${setting} "${caFile}" must be an absolute path of a PEM file on the database's host, such as /etc/ssl/our-authority.pem, without blanks, commas, colons, quotes and the like.`,
  );
}

function caFileOf(bucket: BackupBucket): string | undefined {
  return "caFile" in bucket ? bucket.caFile : undefined;
}
