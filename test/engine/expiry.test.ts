// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { dumpKey, manifestKey } from "../../storage/catalogue/objectKeys.ts";
import { administrator, compatible } from "../support/compatible.ts";
import { openProject, type Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";
import { age, runLifecycle } from "../support/time.ts";

/** The store's own lifecycle worker, over a bucket that the component set up: 30 days, then 14 to bring back. */
const Bucket = "expiring";
const format = { compression: "zstd", encryption: "none" } as const;
const backup = (stamp: string) => [
  dumpKey("shop", "app", stamp, format),
  manifestKey("shop", "app", stamp),
];
const old = backup("2026-10-01T03:15:00");
const young = backup("2026-11-24T03:15:00");

let store: TestStore;
let s3: S3Client;
let project: Project;
before(async () => {
  store = await startStore();
  s3 = administrator(store);
  project = await openProject([]);
  await project.up(async () => {
    compatible(store, "shop", { name: Bucket });
  });
  for (const Key of [...old, ...young]) {
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: "1" }));
    await age(store, Bucket, Key, VersionId ?? "", old.includes(Key) ? 31 : 29);
  }
});
after(async () => {
  await project?.close();
  await store?.stop();
});

async function visible(): Promise<(string | undefined)[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
  return Contents.map(({ Key }) => Key).toSorted();
}

async function versions() {
  const page = await s3.send(new ListObjectVersionsCommand({ Bucket }));
  return {
    objects: (page.Versions ?? []).filter(({ Key }) => old.includes(Key ?? "")),
    markers: page.DeleteMarkers ?? [],
  };
}

test("a backup past its retention is gone from the list with its manifest, and a younger one is not", async () => {
  assert.deepEqual(await visible(), [...old, ...young].toSorted());
  const said = await runLifecycle(store);
  assert.deepEqual(await visible(), young.toSorted(), said);
});

test("its versions are still there to be brought back", async () => {
  const { objects, markers } = await versions();
  assert.deepEqual(objects.map(({ Key }) => Key).toSorted(), old.toSorted());
  assert.deepEqual(markers.map(({ Key }) => Key).toSorted(), old.toSorted());
});

test("until the second term is over: then nothing is left of it, not even a marker", async () => {
  const { objects, markers } = await versions();
  for (const { Key, VersionId } of objects) {
    await age(store, Bucket, Key ?? "", VersionId ?? "", 46);
  }
  for (const { Key, VersionId } of markers) {
    await age(store, Bucket, Key ?? "", VersionId ?? "", 15);
  }
  const said = await runLifecycle(store);
  assert.deepEqual(await versions(), { objects: [], markers: [] }, said);
  assert.deepEqual(await visible(), young.toSorted());
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  assert.deepEqual(Uploads, []);
});
