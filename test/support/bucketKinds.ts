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
export const roundsOf = (drifts: Drifts): Drifts[] => togetherAt(drifts, ([part]) => [part]);

/** Each setting changed, with the steps there and those of the way back. */
export type Changes<Args> = Record<string, [change: Partial<Args>, there: Steps, back: Steps]>;
export type Steps = Record<string, string>;

/**
 * Changes to be made one after the other: several settings at once where each has a resource of its own, so that its step shows, and
 * at the end all of them back.
 */
export function chainOf<Args>(changes: Changes<Args>) {
  const rounds = togetherAt(changes, ([change, there, back]) => [
    ...Object.keys(change).map((argument) => `the argument ${argument}`),
    ...Object.keys(there),
    ...Object.keys(back),
  ]);
  let way: Steps = {};
  const chain = rounds.map((round) => {
    const all = Object.values(round);
    const change: Partial<Args> = Object.assign({}, ...all.map(([each]) => each));
    const steps: Steps = Object.assign({}, way, ...all.map(([, there]) => there));
    way = Object.assign({}, ...all.map(([, , back]) => back));
    return { what: Object.keys(round).join(", "), change, steps };
  });
  return [...chain, { what: "all of them back", change: {} as Partial<Args>, steps: way }];
}

function togetherAt<Each>(
  all: Readonly<Record<string, Each>>,
  partsOf: (each: Each) => readonly string[],
): Record<string, Each>[] {
  const rounds: Record<string, Each>[] = [];
  for (const [what, each] of Object.entries(all)) {
    const parts = partsOf(each);
    const free = rounds.find(
      (round) =>
        !Object.values(round).some((other) => partsOf(other).some((p) => parts.includes(p))),
    );
    if (free) free[what] = each;
    else rounds.push({ [what]: each });
  }
  return rounds;
}
