import type * as pulumi from "@pulumi/pulumi";
import {
  AwsBackupBucket,
  type AwsBackupBucketArgs,
  Retention,
  type S3CompatibleBucketArgs,
} from "../../components/index.ts";
import { compatible, standIn } from "./compatible.ts";
import { openProject, type Project } from "./engineProject.ts";
import type { TestStore } from "./servers/store.ts";

/** One kind of bucket of ours, in a project on the real engine. */
export interface Kind<Args> {
  readonly open: () => Promise<Project>;
  /** Declares the bucket `shop` and returns its name as the output `name`. */
  readonly program: (changes?: Partial<Args>) => pulumi.automation.PulumiFn;
}

/** An `AwsBackupBucket` at the store. */
export function onAws(
  store: () => TestStore,
  declared: Partial<AwsBackupBucketArgs> = {},
): Kind<AwsBackupBucketArgs> {
  return {
    open: () => openProject(["aws"], standIn(store())),
    program:
      (changes = {}) =>
      async () => {
        const bucket = new AwsBackupBucket("shop", {
          retention: Retention.days(30),
          endpoint: store().endpoint,
          allowInsecure: true,
          ...declared,
          ...changes,
        });
        return { name: bucket.bucketName };
      },
  };
}

/** An `S3CompatibleBucket` at the store. */
export function elsewhere(
  store: () => TestStore,
  declared: Partial<S3CompatibleBucketArgs> & { readonly name: string },
): Kind<S3CompatibleBucketArgs> {
  return {
    open: () => openProject([], {}, {}, "warm"),
    program:
      (changes = {}) =>
      async () => ({
        name: compatible(store(), "shop", { ...declared, ...changes }).bucketName,
      }),
  };
}

/** What a hand can do to a bucket in a console, the resource at which it must show, and the inputs in which, if each counts. */
export type Drift = [
  part: string,
  by: (Bucket: string) => Promise<unknown>,
  inputs?: readonly string[],
];
export type Drifts = Record<string, Drift>;

/** Drifts to be made together: no two of them are at one resource, so each shows alone. */
export function roundsOf(drifts: Drifts): Drifts[] {
  const rounds: Drifts[] = [];
  for (const [what, drift] of Object.entries(drifts)) {
    const free = rounds.find((round) => !Object.values(round).some(([part]) => part === drift[0]));
    if (free) free[what] = drift;
    else rounds.push({ [what]: drift });
  }
  return rounds;
}
