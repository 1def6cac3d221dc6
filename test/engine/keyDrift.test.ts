// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DeleteAccessKeyCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import * as pulumi from "@pulumi/pulumi";
import {
  checkSignature,
  parseSigningKeys,
  signManifest,
} from "../../common/contracts/manifestMac.ts";
import { KeyProbe } from "../../components/bucket/keyProbe.ts";
import { createSigningKey, type SigningArgs } from "../../components/bucket/signingKey.ts";
import { BackupKeys } from "../../components/index.ts";
import { asArgument } from "../../components/pulumi/settingNames.ts";
import { writerPolicy } from "../../storage/bucket/iamPolicies.ts";
import { administrator, changed, standIn } from "../support/compatible.ts";
import { openProject, type Project } from "../support/engineProject.ts";
import { iamUser, type Key } from "../support/iamUser.ts";
import { backupManifest } from "../support/manifest.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

/** What a hand can do to the keys of a backup, those that are made and those that were given. */
const Bucket = "backups";
const prefix = "shop";
let store: TestStore;
let iam: IAMClient;
let project: Project;
let user: string;
let policy: string;
let writer: { readonly accessKeyId: string; readonly secretAccessKey: string };

before(async () => {
  store = await startStore();
  iam = new IAMClient({ endpoint: store.endpoint, region: "us-east-1", credentials: store });
  await administrator(store).send(new CreateBucketCommand({ Bucket }));
  project = await openProject(["aws"], standIn(store), {}, "warm");
  await ups();
});
after(async () => {
  await project?.close();
  await store?.stop();
});

async function program() {
  const keys = new BackupKeys("shop", { bucket: Bucket, prefix });
  return {
    user: keys.writer.user.name,
    policy: keys.writer.policy.name,
    writer: { accessKeyId: keys.accessKeyId, secretAccessKey: keys.secretAccessKey },
  };
}

async function ups() {
  await project.up(program, { refresh: true });
  const outputs = await project.outputs();
  user = outputs["user"]?.value;
  policy = outputs["policy"]?.value;
  writer = outputs["writer"]?.value;
}

function put(credentials: typeof writer) {
  const { endpoint } = store;
  const s3 = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return s3.send(new PutObjectCommand({ Bucket, Key: `${prefix}/x`, Body: "1" }));
}

async function drifted(): Promise<Record<string, string>> {
  const drift = await project.drift(program);
  assert.equal(drift.code, 7, JSON.stringify(drift));
  return changed(drift);
}

test("a widened policy and a deleted key are drift, and up narrows the one and makes another of the other", async () => {
  const PolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["s3:*"], Resource: ["arn:aws:s3:::*"] }],
  });
  const lost = writer;
  await iam.send(new PutUserPolicyCommand({ UserName: user, PolicyName: policy, PolicyDocument }));
  await iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: lost.accessKeyId }));
  assert.deepEqual(await drifted(), { "shop-policy": "update", "shop-key": "create" });
  await ups();
  assert.notEqual(writer.accessKeyId, lost.accessKeyId);
  await put(writer);
});

// That nothing is left of the first is seen here, where the removed policy alone is found.
test("a removed policy is drift, and up puts it back: the key works again", async () => {
  await iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: policy }));
  await assert.rejects(put(writer), { name: "AccessDenied" });
  assert.deepEqual(await drifted(), { "shop-policy": "create" });
  await ups();
  await put(writer);
  assert.equal((await project.drift(program)).code, 0);
});

test("a given key that its owner deleted is drift, and up says so; another one heals it", async () => {
  const owner = await iamUser(store, "given", writerPolicy({ bucket: Bucket, prefix, read: true }));
  const given = (key: Key) => async () => {
    new KeyProbe("given", {
      endpoint: store.endpoint,
      region: "us-east-1",
      bucket: Bucket,
      prefix,
      allowInsecure: true,
      accessKeyId: key.accessKeyId,
      secretAccessKey: pulumi.secret(key.secretAccessKey),
      access: "restorable",
      patienceSeconds: 0,
    });
  };
  const probing = await openProject([], {}, {}, "warm");
  try {
    const first = owner.key;
    await probing.up(given(first));
    await owner.deleteKey(first.accessKeyId);
    const drift = await probing.drift(given(first));
    assert.deepEqual([drift.code, changed(drift)], [7, { given: "update" }]);
    await assert.rejects(
      probing.up(given(first), { refresh: true }),
      /does not know the access key id/,
    );
    const second = await owner.anotherKey();
    await probing.up(given(second), { refresh: true });
    assert.equal((await probing.drift(given(second))).code, 0);
  } finally {
    await probing.close();
  }
});

test("a signing key is made once, stays through refresh and rotation, and is in clear nowhere", async () => {
  const declaring = (signing: SigningArgs) => async () => {
    const parent = new pulumi.ComponentResource("test:index:Backup", "shop");
    const made = createSigningKey({
      parent,
      name: "shop",
      signing,
      rotateAfter: undefined,
      settingName: asArgument,
    });
    const since = pulumi.unsecret(made.apply(({ signingSince }) => signingSince));
    return { keys: made.apply(({ signingKeys }) => signingKeys), since };
  };
  const signing = await openProject([], {}, {}, "warm");
  const after = async (args: SigningArgs) => {
    const { steps } = await signing.up(declaring(args), { refresh: true });
    const { keys, since } = await signing.outputs();
    assert.deepEqual([keys?.secret, since?.secret], [true, false]);
    return {
      step: steps["shop-signing-key"],
      keys: keys?.value as string[],
      since: since?.value as string,
    };
  };
  try {
    const first = await after({});
    assert.equal(first.step, "create");
    const manifest = signManifest(backupManifest(), parseSigningKeys(first.keys.join(), ""));
    const checked = ({ keys }: { readonly keys: readonly string[] }) =>
      checkSignature(manifest, parseSigningKeys(keys.join(), ""));
    assert.deepEqual(await after({}), { ...first, step: "same" });
    assert.equal((await signing.drift(declaring({}))).code, 0);
    const rotated = await after({ rotateAfter: "2026-12" });
    assert.equal(rotated.step, "update");
    assert.deepEqual(rotated.keys.slice(1), first.keys);
    assert.notEqual(rotated.keys[0], first.keys[0]);
    assert.equal(rotated.since, first.since);
    assert.equal(checked(rotated), "signed");
    assert.doesNotMatch(await signing.state(), new RegExp(rotated.keys.join("|")));

    // The state is lost, and the keys were kept.
    await signing.destroy(declaring({}));
    const anew = await after({});
    assert.equal(checked(anew), "unknown key");
    const given = await after({ keys: pulumi.secret(rotated.keys.join(",")) });
    assert.deepEqual(given.keys, [...anew.keys, ...rotated.keys]);
    assert.equal(checked(given), "signed");
    assert.doesNotMatch(await signing.state(), new RegExp(given.keys.join("|")));
  } finally {
    await signing.close();
  }
});
