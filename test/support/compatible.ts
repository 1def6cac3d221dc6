import { S3Client } from "@aws-sdk/client-s3";
import * as pulumi from "@pulumi/pulumi";
import {
  Retention,
  S3CompatibleBucket,
  type S3CompatibleBucketArgs,
} from "../../components/index.ts";
import type { TestStore } from "./servers/store.ts";

/** The administrator's client. */
export function administrator(store: TestStore): S3Client {
  return new S3Client({
    endpoint: store.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: store,
  });
}

/** Environment of the stand-in for the aws provider. */
export function standIn(store: TestStore): Record<string, string> {
  return {
    SANDBOX_S3_ENDPOINT: store.endpoint,
    SANDBOX_S3_REGION: "us-east-1",
    SANDBOX_S3_ACCESS_KEY_ID: store.accessKeyId,
    SANDBOX_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
  };
}

/** Declares a bucket at the store. */
export function compatible(
  store: TestStore,
  name: string,
  args: Partial<S3CompatibleBucketArgs> & { readonly name: string },
  opts?: pulumi.ComponentResourceOptions,
): S3CompatibleBucket {
  return new S3CompatibleBucket(
    name,
    {
      endpoint: store.endpoint,
      region: "us-east-1",
      retention: Retention.days(30),
      administrator: {
        accessKeyId: store.accessKeyId,
        secretAccessKey: pulumi.secret(store.secretAccessKey),
      },
      ...args,
    },
    opts,
  );
}

/** The steps of a run that did something, by the resource's logical name. */
export function changed(seen: { readonly steps: Record<string, string> }): Record<string, string> {
  return Object.fromEntries(Object.entries(seen.steps).filter(([, step]) => step !== "same"));
}
