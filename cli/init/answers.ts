import type { DatabaseNames } from "./application.ts";

/** The bucket that backups go to. */
export interface BucketAnswer {
  readonly kind: "aws" | "existing" | "made";
  readonly region: string;
  /** Absent: AWS. */
  readonly endpoint?: string;
  /** Allows plain http. */
  readonly allowInsecure?: true;
  /** Name by environment; empty where AWS makes one. */
  readonly names: Readonly<Record<string, string>>;
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The container deletes what is too old, since its key may; else rules of the bucket do. */
  readonly containerDeletes: boolean;
}

/** What the questions and options come to. */
export interface Answers {
  readonly bucket: BucketAnswer;
  /** A time of day (UTC), or a schedule in words of its own. */
  readonly schedule: { readonly daily: string } | { readonly expression: string };
  readonly days: number;
  /** Public key of age; undefined: backups are not encrypted. */
  readonly recipient: string | undefined;
  /** By environment. */
  readonly databases: Readonly<Record<string, DatabaseNames>>;
}

/** What the project depends on: a version, or a tarball that lies in its folder. */
export interface PackageOrigin {
  /** As it stands in package.json. */
  readonly dependency: string;
  /** Path of the tarball that is copied into the folder. */
  readonly tarball?: string;
}
