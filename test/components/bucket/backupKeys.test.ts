// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { IAMClient, ListAccessKeysCommand } from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { BackupKeys, type KeysArgs } from "../../../components/bucket/backupKeys.ts";
import type { PolicyDocument } from "../../../storage/bucket/iamPolicies.ts";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";
import { declare, isSecret, plainText } from "../mocks.ts";

const Bucket = "backups";
const prefix = "shop/production";

test("every key's policy is its own, in preview and in update, and no secret is an output in plain", async () => {
  for (const preview of [true, false]) {
    const declared = await declare(preview, () => {
      const keys = new BackupKeys("shop", { bucket: Bucket, prefix, access: "append-only" });
      return [keys.accessKeyId, keys.secretAccessKey, keys.reader.secretAccessKey];
    });
    const names = declared.map(({ name }) => name).toSorted();
    assert.deepEqual(names, [
      "shop",
      "shop-key",
      "shop-policy",
      "shop-reader-key",
      "shop-reader-policy",
      "shop-reader-user",
      "shop-user",
    ]);
    const policyOf = (name: string) =>
      String(declared.find((one) => one.name === name)?.inputs["policy"]);
    assert.doesNotMatch(policyOf("shop-policy"), /s3:(Get|ListBucket|Delete)/);
    assert.match(policyOf("shop-reader-policy"), /"s3:GetObject".*"s3:ListBucket"/);
    assert.doesNotMatch(policyOf("shop-reader-policy"), /Put|Delete|Abort/);
    assert.ok(!plainText(declared).includes("made/up/secret"));
  }
});

test("with a KMS key the writer may encrypt and the reader decrypt", async () => {
  const kmsKey = "arn:aws:kms:eu-west-3:111122223333:key/4f2a";
  const declared = await declare(false, () => {
    const keys = new BackupKeys("shop", { bucket: Bucket, prefix, kmsKey });
    return [keys.accessKeyId, keys.reader.accessKeyId];
  });
  const allowed = (name: string) => {
    const policy = JSON.parse(
      String(declared.find((one) => one.name === name)?.inputs["policy"]),
    ) as PolicyDocument;
    return policy.Statement.filter(({ Resource }) => Resource === kmsKey).flatMap(
      ({ Action }) => Action,
    );
  };
  assert.deepEqual(allowed("shop-policy"), ["kms:GenerateDataKey", "kms:Decrypt"]);
  assert.deepEqual(allowed("shop-reader-policy"), ["kms:Decrypt"]);
});

test("both halves of each secret are secrets, also where the engine does not mark them", async () => {
  const declared = await declare(false, () => {
    const keys = new BackupKeys("shop", { bucket: Bucket, prefix });
    const users = [keys.secretAccessKey, keys.reader.secretAccessKey].map(
      (secret, i) => new aws.iam.User(`consumer-${i}`, { path: secret }),
    );
    return users.map((user) => user.path);
  });
  const consumers = declared.filter(({ name }) => name.startsWith("consumer-"));
  assert.equal(consumers.length, 2);
  for (const { inputs } of consumers) assert.ok(isSecret(inputs["path"]));
});

let store: TestStore;
let project: Project;
let iam: IAMClient;

before(async () => {
  store = await startStore();
  iam = new IAMClient({ endpoint: store.endpoint, region: "us-east-1", credentials: store });
  await s3(store).send(new CreateBucketCommand({ Bucket }));
  project = await openProject(["aws"], {
    SANDBOX_S3_ENDPOINT: store.endpoint,
    SANDBOX_S3_REGION: "us-east-1",
    SANDBOX_S3_ACCESS_KEY_ID: store.accessKeyId,
    SANDBOX_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
  });
});
after(async () => {
  await project?.close();
  await store?.stop();
});

interface Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

function s3(credentials: Key): S3Client {
  const { endpoint } = store;
  return new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
}

function program(args: KeysArgs = {}) {
  return async () => {
    const keys = new BackupKeys("shop", { bucket: Bucket, prefix, ...args });
    // Something that uses the key, as the container does.
    new aws.iam.UserPolicy("consumer", {
      user: keys.reader.user.name,
      policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Action: "s3:GetObject",
            Resource: pulumi.interpolate`arn:aws:s3:::elsewhere/${keys.accessKeyId}/*`,
          },
        ],
      }),
    });
    return {
      user: keys.writer.user.name,
      writer: { accessKeyId: keys.accessKeyId, secretAccessKey: keys.secretAccessKey },
      reader: {
        accessKeyId: keys.reader.accessKeyId,
        secretAccessKey: keys.reader.secretAccessKey,
      },
    };
  };
}

async function up(args?: KeysArgs) {
  const { steps } = await project.up(program(args));
  const outputs = await project.outputs();
  return {
    steps: Object.fromEntries(Object.entries(steps).filter(([, step]) => step !== "same")),
    user: outputs["user"]?.value as string,
    writer: outputs["writer"]?.value as Key,
    reader: outputs["reader"]?.value as Key,
  };
}

async function keysOf(UserName: string): Promise<(string | undefined)[]> {
  const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
  return AccessKeyMetadata.map(({ AccessKeyId }) => AccessKeyId);
}

test("the reader reads what the writer wrote, older versions too, and cannot write", async () => {
  const { writer, reader } = await up();
  const Key = `${prefix}/one`;
  await s3(writer).send(new PutObjectCommand({ Bucket, Key, Body: "1" }));
  const found = await s3(reader).send(new GetObjectCommand({ Bucket, Key }));
  assert.equal(await found.Body?.transformToString(), "1");
  const Prefix = `${prefix}/`;
  const versions = await s3(reader).send(new ListObjectVersionsCommand({ Bucket, Prefix }));
  assert.equal(versions.Versions?.length, 1);
  await assert.rejects(s3(reader).send(new PutObjectCommand({ Bucket, Key, Body: "2" })), {
    name: "AccessDenied",
  });
});

const BOTH_KEYS = { "shop-key": "replace", "shop-reader-key": "replace", consumer: "update" };
const CHANGES: readonly [what: string, args: KeysArgs, steps: Record<string, string>][] = [
  ["nothing", {}, {}],
  ["the first generation", { rotateAfter: "2026-12" }, BOTH_KEYS],
  ["the same generation", { rotateAfter: "2026-12" }, {}],
  ["the next generation", { rotateAfter: "2027-01" }, BOTH_KEYS],
  ["a number", { rotateAfter: 3 }, BOTH_KEYS],
  ["less access", { rotateAfter: 3, access: "append-only" }, { "shop-policy": "update" }],
  ["more access", { rotateAfter: 3, access: "restorable" }, { "shop-policy": "update" }],
];
test("each change has its own steps, and a rotation leaves one key that works", async () => {
  let before = await up();
  for (const [what, args, steps] of CHANGES) {
    const now = await up(args);
    assert.deepEqual(now.steps, steps, what);
    assert.deepEqual(await keysOf(now.user), [now.writer.accessKeyId], what);
    const put = (key: Key) =>
      s3(key).send(new PutObjectCommand({ Bucket, Key: `${prefix}/${what}`, Body: what }));
    await put(now.writer);
    if ("shop-key" in steps) {
      assert.notEqual(now.writer.accessKeyId, before.writer.accessKeyId, what);
      await assert.rejects(put(before.writer), { name: "InvalidAccessKeyId" });
    }
    before = now;
  }
  const drift = await project.drift(program({ rotateAfter: 3 }));
  assert.equal(drift.code, 0, JSON.stringify(drift));
});

test("destroy leaves no key and no user", async () => {
  await project.destroy(program());
  for (const name of ["shop-user", "shop-reader-user"]) {
    assert.ok(!(await project.state()).includes(`::${name}`), name);
  }
});
