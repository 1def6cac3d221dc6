// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  DeleteUserPolicyCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

let store: TestStore;
let iam: IAMClient;
let project: Project;

before(async () => {
  store = await startStore();
  iam = new IAMClient({ endpoint: store.endpoint, region: "us-east-1", credentials: store });
  await s3(store).send(new CreateBucketCommand({ Bucket: "backups" }));
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

function s3(credentials: { accessKeyId: string; secretAccessKey: string }): S3Client {
  const { endpoint } = store;
  return new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
}

function document(action: string, prefix: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: action, Resource: `arn:aws:s3:::backups/${prefix}*` }],
  });
}

interface Settings {
  policy?: string;
  user?: string;
  status?: string;
}

/** A user with one policy and one key, as the writer of a backup has them. */
function program({ policy = document("s3:PutObject", "app/"), user, status }: Settings = {}) {
  return async () => {
    const provider = new aws.Provider("explicit", { region: "us-east-1" });
    const options = { provider };
    const writer = new aws.iam.User("writer", user === undefined ? {} : { name: user }, options);
    new aws.iam.UserPolicy("put", { user: writer.name, policy }, options);
    const key = new aws.iam.AccessKey(
      "key",
      { user: writer.name, ...(status !== undefined && { status }) },
      options,
    );
    return {
      user: writer.name,
      arn: writer.arn,
      id: key.id,
      secret: key.secret,
      mail: key.sesSmtpPasswordV4,
    };
  };
}

let user = "";
let credentials = { accessKeyId: "", secretAccessKey: "" };

test("a preview makes nothing", async () => {
  const { steps } = await project.preview(program());
  assert.deepEqual(steps, { writer: "create", put: "create", key: "create" });
  const { Users = [] } = await iam.send(new ListUsersCommand({}));
  assert.equal(
    Users.some(({ UserName }) => UserName?.startsWith("writer-")),
    false,
  );
});

test("up makes a key that may do what its policy says and no more", async () => {
  await project.up(program());
  const outputs = await project.outputs();
  user = outputs["user"]?.value;
  assert.match(user, /^writer-[0-9a-f]{7}$/);
  assert.match(outputs["arn"]?.value, new RegExp(`user/${user}$`));
  credentials = {
    accessKeyId: outputs["id"]?.value,
    secretAccessKey: outputs["secret"]?.value,
  };
  await s3(credentials).send(
    new PutObjectCommand({ Bucket: "backups", Key: "app/one", Body: "1" }),
  );
  await assert.rejects(
    s3(credentials).send(new GetObjectCommand({ Bucket: "backups", Key: "app/one" })),
    { name: "AccessDenied" },
  );
});

test("the secrets of a key are secret in outputs and not in the state in plain", async () => {
  await project.up(program());
  const outputs = await project.outputs();
  assert.equal(outputs["secret"]?.secret, true);
  assert.equal(outputs["mail"]?.secret, true);
  const state = await project.state();
  assert.ok(state.includes(credentials.accessKeyId));
  assert.ok(!state.includes(credentials.secretAccessKey));
  assert.ok(!state.includes(outputs["mail"]?.value));
});

test("a second up changes nothing, and nothing has drifted", async () => {
  const { steps } = await project.up(program());
  const outputs = await project.outputs();
  assert.deepEqual(steps, { writer: "same", put: "same", key: "same" });
  assert.equal(outputs["secret"]?.value, credentials.secretAccessKey);
  assert.equal((await project.drift(program())).code, 0);
});

test("the same policy spelt in another order is the same", async () => {
  const spelt = `{ "Statement": [{ "Resource": ["arn:aws:s3:::backups/app/*"], "Action": ["s3:PutObject"],
    "Effect": "Allow" }], "Version": "2012-10-17" }`;
  assert.deepEqual((await project.up(program({ policy: spelt }))).steps["put"], "same");
});

test("a changed policy is an update, a switched-off key too", async () => {
  const policy = document("s3:*", "other/");
  const { steps } = await project.up(program({ policy, status: "Inactive" }));
  assert.deepEqual(steps, { writer: "same", put: "update", key: "update" });
  const { AccessKeyMetadata: [key] = [] } = await iam.send(
    new ListAccessKeysCommand({ UserName: user }),
  );
  assert.equal(key?.Status, "Inactive");
  await project.up(program());
});

test("drift made by hand is seen: a widened policy, a deleted key", async () => {
  const { steps: before } = await project.up(program());
  assert.equal(before["put"], "same");
  const [id] = (await project.state()).match(/put-[0-9a-f]{7}/) ?? [];
  const PolicyName = id ?? "";
  await iam.send(
    new PutUserPolicyCommand({
      UserName: user,
      PolicyName,
      PolicyDocument: document("s3:*", ""),
    }),
  );
  await iam.send(
    new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: credentials.accessKeyId }),
  );
  const { code, steps, diffs } = await project.drift(program());
  assert.equal(code, 7);
  assert.deepEqual(steps, { writer: "same", put: "update", key: "create" });
  assert.deepEqual(diffs["put"], ["policy"]);

  await iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName }));
  assert.equal((await project.drift(program())).steps["put"], "create");
});

test("another user name replaces user, policy and key", async () => {
  const { steps } = await project.preview(program({ user: "chosen-by-hand" }));
  assert.deepEqual(steps, { writer: "replace", put: "replace", key: "replace" });
});

test("destroy leaves no user, and forceDestroy takes foreign keys along", async () => {
  await project.destroy(program());
  const forced = async () => {
    new aws.iam.User("forced", { name: "forced", forceDestroy: true });
  };
  await project.up(forced);
  await iam.send(new CreateAccessKeyCommand({ UserName: "forced" }));
  await project.destroy(forced);
  const { Users = [] } = await iam.send(new ListUsersCommand({}));
  assert.deepEqual(
    Users.filter(({ UserName }) => UserName === user || UserName === "forced"),
    [],
  );
  await assert.rejects(
    iam.send(new GetUserPolicyCommand({ UserName: user, PolicyName: "put" })),
    /NoSuchEntity|cannot be found|not exist/,
  );
});
