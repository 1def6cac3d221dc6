import * as z from "zod";
import { Problem } from "../storage/problem.ts";
import type { AgentSettings, StoreSettings } from "./environment.ts";

/** A second bucket that gets the same backups, for the day on which the first one is gone. */
export interface CopySettings {
  /** `COPY_S3_...`, each as its namesake `S3_...`. `COPY_S3_PREFIX` @default S3_PREFIX */
  readonly store: StoreSettings;
  /**
   * When a copy is due, counted from the newest one there; written as `SCHEDULE` is. When the first bucket cannot be
   * read, it is due in any case. `COPY_EVERY`
   * @default with each backup
   */
  readonly every?: string;
  /** As `BACKUP_TIERS`, for the copies. `COPY_TIERS` @default false */
  readonly tiers: boolean;
}

const flag = (name: string) =>
  z.enum(["true", "false"], `${name} must be true or false`).default("false");

/** The variables of the copy. */
export const copyVariables = {
  COPY_S3_ENDPOINT: z.string().optional(),
  COPY_S3_REGION: z.string().default("us-west-1"),
  COPY_S3_BUCKET: z.string().optional(),
  COPY_S3_PREFIX: z.string().optional(),
  COPY_S3_ACCESS_KEY_ID: z.string().optional(),
  COPY_S3_SECRET_ACCESS_KEY: z.string().optional(),
  COPY_S3_ALLOW_INSECURE: flag("COPY_S3_ALLOW_INSECURE"),
  COPY_S3_CHECKSUMS: z
    .enum(
      ["when-supported", "when-required"],
      "COPY_S3_CHECKSUMS must be when-supported or when-required",
    )
    .optional(),
  COPY_EVERY: z.string().optional(),
  COPY_TIERS: flag("COPY_TIERS"),
};

type Variables = z.infer<z.ZodObject<typeof copyVariables>>;

/** The variables that may be seen, where they are not what they would be by default. */
export function clearCopy({ copy, store }: AgentSettings): Record<string, string> {
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

export function secretCopy({ copy }: AgentSettings): Record<string, string> {
  if (copy === undefined) return {};
  return {
    COPY_S3_ACCESS_KEY_ID: copy.store.accessKeyId,
    COPY_S3_SECRET_ACCESS_KEY: copy.store.secretAccessKey,
  };
}

/**
 * Reads the copy's variables.
 * @param present names of the variables that are set
 * @param prefix of the first bucket
 * @throws Problem when one is set and one that it needs is not
 */
export function copyOf(
  present: readonly string[],
  e: Variables,
  prefix: string,
): { readonly copy?: CopySettings } {
  const given = present.find((name) => name in copyVariables);
  if (given === undefined) return {};
  const needed = (name: keyof Variables, value: string | undefined): string => {
    if (value !== undefined) return value;
    throw new Problem(
      `${given} is set, so ${name} is required. Set it in the accessory's env in deploy.yml and reboot the accessory, or remove every COPY_ variable.`,
    );
  };
  return {
    copy: {
      store: {
        ...(e.COPY_S3_ENDPOINT !== undefined && { endpoint: e.COPY_S3_ENDPOINT }),
        region: e.COPY_S3_REGION,
        bucket: needed("COPY_S3_BUCKET", e.COPY_S3_BUCKET),
        prefix: e.COPY_S3_PREFIX ?? prefix,
        accessKeyId: needed("COPY_S3_ACCESS_KEY_ID", e.COPY_S3_ACCESS_KEY_ID),
        secretAccessKey: needed("COPY_S3_SECRET_ACCESS_KEY", e.COPY_S3_SECRET_ACCESS_KEY),
        allowInsecure: e.COPY_S3_ALLOW_INSECURE === "true",
        ...(e.COPY_S3_CHECKSUMS !== undefined && { checksums: e.COPY_S3_CHECKSUMS }),
      },
      ...(e.COPY_EVERY !== undefined && { every: e.COPY_EVERY }),
      tiers: e.COPY_TIERS === "true",
    },
  };
}
