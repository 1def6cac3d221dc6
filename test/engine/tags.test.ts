// tag: cloud
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  GetBucketTaggingCommand,
  PutBucketTaggingCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { elsewhere } from "../support/bucketKinds.ts";
import { administrator } from "../support/compatible.ts";
import type { Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

const tags = { team: "data", stage: "test" };
let store: TestStore;
let s3: S3Client;
before(async () => {
  store = await startStore();
  s3 = administrator(store);
});
after(() => store?.stop());

describe("tags of a bucket that is not on AWS", () => {
  const { open, program } = elsewhere(() => store, { name: "tagged", tags });
  let project: Project;
  before(async () => {
    project = await open();
    await project.up(program());
  });
  after(() => project?.close());

  async function found(): Promise<Record<string, string>> {
    const { TagSet = [] } = await s3.send(new GetBucketTaggingCommand({ Bucket: "tagged" }));
    return Object.fromEntries(TagSet.map(({ Key = "", Value = "" }) => [Key, Value]));
  }

  it("stand beside those of others, which are no drift and survive each change of ours", async () => {
    const TagSet = Object.entries({ ...tags, owner: "somebody" }).map(([Key, Value]) => ({
      Key,
      Value,
    }));
    await s3.send(new PutBucketTaggingCommand({ Bucket: "tagged", Tagging: { TagSet } }));
    assert.equal((await project.drift(program())).code, 0);
    await project.up(program({ tags: { team: "data", cost: "12" } }));
    assert.deepEqual(await found(), { team: "data", cost: "12", owner: "somebody" });
  });

  it("go when they are no longer asked for and the bucket is ours to destroy", async () => {
    await project.up(program({ forceDestroy: true }));
    await project.up(program({ forceDestroy: true, tags: undefined } as object));
    assert.deepEqual(await found(), { owner: "somebody" });
  });
});
