import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyAccess } from "../../../storage/bucket/probeKey.ts";
import { scalewayPermissionSets, scalewayPolicy } from "../../../storage/bucket/scalewayPolicy.ts";

const administrators = ["user_id:11111111-1111-1111-1111-111111111111"];

function policy(prefix: string, access: KeyAccess) {
  return scalewayPolicy({ bucket: "backups", prefix, administrators, writer: "app", access });
}

/** What the policy grants the writer, as `action resource`. */
function granted(prefix: string, access: KeyAccess): string[] {
  return policy(prefix, access)
    .Statement.filter(({ Principal }) => Principal.SCW.includes("application_id:app"))
    .flatMap(({ Action, Resource }) => Action.flatMap((a) => Resource.map((r) => `${a} ${r}`)))
    .toSorted();
}

const WRITES = (objects: string) => [
  `s3:AbortMultipartUpload ${objects}`,
  `s3:ListMultipartUploadParts ${objects}`,
  `s3:PutObject ${objects}`,
];

test("the writer adds below the folder, reads there if it may, and does nothing else", () => {
  assert.deepEqual(granted("shop", "append-only"), WRITES("backups/shop/*"));
  assert.deepEqual(
    granted("shop", "restorable"),
    [
      ...WRITES("backups/shop/*"),
      "s3:GetObject backups/shop/*",
      "s3:ListBucket backups",
    ].toSorted(),
  );
  assert.deepEqual(granted("", "append-only"), WRITES("backups/*"));
});

test("listing is for the folder", () => {
  const list = (prefix: string) =>
    policy(prefix, "restorable").Statement.find(({ Sid }) => Sid === "List");
  assert.deepEqual(list("shop")?.Condition, { StringLike: { "s3:prefix": ["shop", "shop/*"] } });
  assert.equal(list("")?.Condition, undefined);
});

test("the administrators keep every right in the bucket and its objects", () => {
  const [first] = policy("shop", "append-only").Statement;
  assert.deepEqual(first?.Principal.SCW, administrators);
  assert.deepEqual(first?.Action, ["s3:*"]);
  assert.deepEqual(first?.Resource, ["backups", "backups/*"]);
});

test("it is of the version that grants only what it names, and denies nothing by itself", () => {
  const { Version, Statement } = policy("shop", "restorable");
  assert.equal(Version, "2023-04-17");
  assert.ok(Statement.every(({ Effect }) => Effect === "Allow"));
});

test("an append-only key has no permission set to read", () => {
  assert.ok(!scalewayPermissionSets("append-only").includes("ObjectStorageObjectsRead"));
  assert.ok(scalewayPermissionSets("restorable").includes("ObjectStorageObjectsRead"));
});
