import * as z from "zod";
import { Problem } from "../../problem.ts";
import type { StoreSettings } from "./store.ts";
import { checksums, flag } from "./variables.ts";

/** The second bucket, if there is one. */
export interface DeclaredCopy {
  /** A second bucket that gets the same backups. `COPY_S3_...` @default none */
  readonly copy?: CopySettings;
  /** What is wrong with the variables of the copy; then there is no `copy`. */
  readonly copyFault?: Problem;
}

/** A second bucket that gets the same backups, for the day on which the first one is gone. */
export interface CopySettings {
  /** `COPY_S3_...`, each as its namesake `S3_...`. `COPY_S3_PREFIX` @default S3_PREFIX */
  readonly store: StoreSettings;
  /**
   * When a copy is due, counted from the latest copy there; written as `SCHEDULE` is. When the first bucket cannot be
   * read, it is due in any case. `COPY_EVERY`
   * @default with each backup
   */
  readonly every?: string;
  /** As `BACKUP_TIERS`, for the copies. `COPY_TIERS` @default false */
  readonly tiers: boolean;
}

/** The variables of the copy: read apart from the others, so that a wrong one costs the copy and not the backup. */
const copyVariables = {
  COPY_S3_ENDPOINT: z.string().optional(),
  COPY_S3_REGION: z.string().default("us-west-1"),
  COPY_S3_BUCKET: z.string().optional(),
  COPY_S3_PREFIX: z.string().optional(),
  COPY_S3_ACCESS_KEY_ID: z.string().optional(),
  COPY_S3_SECRET_ACCESS_KEY: z.string().optional(),
  COPY_S3_ALLOW_INSECURE: flag("COPY_S3_ALLOW_INSECURE", "false"),
  COPY_S3_CHECKSUMS: checksums("COPY_S3_CHECKSUMS"),
  COPY_EVERY: z.string().optional(),
  COPY_TIERS: flag("COPY_TIERS", "false"),
};

/** The variables that may be seen, where they are not what they would be by default. */
export function copyClearEnv(
  copy: CopySettings | undefined,
  store: StoreSettings,
): Record<string, string> {
  if (copy === undefined) return {};
  const { endpoint, region, bucket, prefix, allowInsecure, checksums } = copy.store;
  return {
    ...(endpoint !== undefined && { COPY_S3_ENDPOINT: endpoint }),
    COPY_S3_REGION: region,
    COPY_S3_BUCKET: bucket,
    ...(prefix !== store.prefix && { COPY_S3_PREFIX: prefix }),
    ...(allowInsecure && { COPY_S3_ALLOW_INSECURE: "true" }),
    ...(checksums !== undefined && { COPY_S3_CHECKSUMS: checksums }),
    ...(copy.every !== undefined && { COPY_EVERY: copy.every }),
    ...(copy.tiers && { COPY_TIERS: "true" }),
  };
}

export function copySecretEnv(copy: CopySettings | undefined): Record<string, string> {
  if (copy === undefined) return {};
  return {
    COPY_S3_ACCESS_KEY_ID: copy.store.accessKeyId,
    COPY_S3_SECRET_ACCESS_KEY: copy.store.secretAccessKey,
  };
}

/**
 * Reads the copy's variables.
 * @param present those that are set
 * @param prefix of the first bucket
 * @returns what is wrong when one of them is, or one is set and another that it needs is not
 */
export function parseCopy(
  present: Readonly<Record<string, string | undefined>>,
  prefix: string,
): DeclaredCopy {
  const given = Object.keys(present).find((name) => name in copyVariables);
  if (given === undefined) return {};
  const parsed = z.object(copyVariables).safeParse(present);
  if (!parsed.success) return fault(`${parsed.error.issues[0]?.message}.`);
  const e = parsed.data;
  const {
    COPY_S3_BUCKET: bucket,
    COPY_S3_ACCESS_KEY_ID: accessKeyId,
    COPY_S3_SECRET_ACCESS_KEY: secretAccessKey,
  } = e;
  if (bucket === undefined) return missing(given, "COPY_S3_BUCKET");
  if (accessKeyId === undefined) return missing(given, "COPY_S3_ACCESS_KEY_ID");
  if (secretAccessKey === undefined) return missing(given, "COPY_S3_SECRET_ACCESS_KEY");
  return {
    copy: {
      store: {
        ...(e.COPY_S3_ENDPOINT !== undefined && { endpoint: e.COPY_S3_ENDPOINT }),
        region: e.COPY_S3_REGION,
        bucket,
        prefix: e.COPY_S3_PREFIX ?? prefix,
        accessKeyId,
        secretAccessKey,
        allowInsecure: e.COPY_S3_ALLOW_INSECURE === "true",
        ...(e.COPY_S3_CHECKSUMS !== undefined && { checksums: e.COPY_S3_CHECKSUMS }),
      },
      ...(e.COPY_EVERY !== undefined && { every: e.COPY_EVERY }),
      tiers: e.COPY_TIERS === "true",
    },
  };
}

function missing(given: string, name: keyof typeof copyVariables) {
  return fault(`${given} is set, so ${name} is required.`);
}

function fault(what: string) {
  const remedy =
    "Set it in the accessory's env in deploy.yml and reboot the accessory, or remove every COPY_ variable.";
  return { copyFault: new Problem(`${what} ${remedy}`) };
}
