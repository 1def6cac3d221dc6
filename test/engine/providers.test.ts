// tag: cloud
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { AwsBackupBucket, type AwsBackupBucketArgs, Retention } from "../../components/index.ts";
import { administrator, compatible, standIn } from "../support/compatible.ts";
import { openProject, type Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

let store: TestStore;
let s3: S3Client;
before(async () => {
  store = await startStore();
  s3 = administrator(store);
});
after(() => store?.stop());

function onAws(
  name: string,
  args: Partial<AwsBackupBucketArgs> = {},
  opts?: pulumi.ComponentResourceOptions,
): AwsBackupBucket {
  const base = { retention: Retention.days(30), endpoint: store.endpoint, allowInsecure: true };
  return new AwsBackupBucket(name, { ...base, ...args }, opts);
}

describe("with default providers disabled", () => {
  let project: Project;
  before(async () => {
    project = await openProject(["aws"], standIn(store), {
      "pulumi:disable-default-providers[0]": { value: "*" },
    });
  });
  after(() => project?.close());

  it("a bucket without a provider is refused", async () => {
    const error = await project.failure(async () => {
      onAws("shop");
    });
    assert.match(error, /Default provider for 'aws' disabled/);
  });

  it("a bucket elsewhere brings its own, one for all in the stack, and a program's own wins", async () => {
    class Dynamic extends pulumi.ProviderResource {
      constructor(name: string) {
        super("pulumi-nodejs", name, {});
      }
    }
    const program = async () => {
      compatible(store, "one", { name: "dynamic-one" });
      compatible(store, "two", { name: "dynamic-two" });
      const providers = [new Dynamic("mine")];
      compatible(store, "three", { name: "dynamic-three" }, { providers });
    };
    const { steps } = await project.up(program);
    assert.equal(steps["two-lifecycle"], "create");
    const state = await project.state();
    assert.deepEqual(
      new Set(providersOf(state, "pulumi-nodejs:")),
      new Set(["kamal-postgres-backup", "mine"]),
    );
    assert.equal((await project.drift(program)).code, 0);
  });

  it("an explicit provider reaches every child, for two buckets in one stack", async () => {
    const program = async () => {
      const provider = new aws.Provider("chosen", { region: "us-east-1" });
      const shop = onAws("shop", { lock: { mode: "governance", days: 3 } }, { provider });
      const blog = onAws("blog", {}, { providers: { aws: provider } });
      return { shop: shop.bucketName, blog: blog.bucketName };
    };
    const { steps } = await project.up(program);
    const outputs = await project.outputs();
    assert.equal(steps["shop-lock"], "create");
    assert.equal(steps["blog-lifecycle"], "create");
    assert.notEqual(outputs["shop"]?.value, outputs["blog"]?.value);
    const used = providersOf(await project.state(), "aws:");
    assert.deepEqual([...new Set(used)], ["chosen"]);
    assert.equal((await project.drift(program)).code, 0);
  });
});

/** As a version before this one may have declared it. */
class OldBucket extends pulumi.ComponentResource {
  constructor(name: string) {
    super("kamal-postgres-backup:index:OldBucket", name);
    const parent = { parent: this, retainOnDelete: true };
    const { bucket } = new aws.s3.Bucket(name, {}, parent);
    const versioningConfiguration = { status: "Enabled" };
    new aws.s3.BucketVersioning(`${name}-versioning`, { bucket, versioningConfiguration }, parent);
  }
}

describe("with default providers", () => {
  /** One for all: each of these programs takes the resources of the one before out of the state. */
  let project: Project;
  before(async () => {
    project = await openProject(["aws"], standIn(store), {}, "warm");
  });
  after(() => project?.close());

  it("each bucket and all its settings are handed to the provider of its region", async () => {
    const program = async () => {
      for (const [name, region] of Object.entries({ paris: "eu-west-3", ohio: "us-east-2" })) {
        const provider = new aws.Provider(name, { region: region as aws.Region });
        onAws(`shop-in-${name}`, {}, { provider });
      }
    };
    await project.up(program);
    const { checkpoint } = JSON.parse(await project.state()) as State;
    const { resources } = checkpoint.latest;
    for (const name of ["paris", "ohio"]) {
      const mine = resources.filter(({ urn }) => urn.includes(`::shop-in-${name}`));
      const used = mine.flatMap(({ provider }) => (provider ? [providerName(provider)] : []));
      assert.deepEqual([used.length, new Set(used)], [7, new Set([name])]);
    }
    assert.equal((await project.drift(program)).code, 0);
  });

  it("a component under another name keeps all that was made, when the program names the old one as an alias", async () => {
    await project.up(async () => {
      onAws("shop");
      compatible(store, "archive", { name: "archive" });
    });
    const renamed = await project.up(async () => {
      onAws("store", {}, { aliases: [{ name: "shop" }] });
    });
    const moved = Object.entries(renamed.steps).filter(([name]) => name.startsWith("store"));
    assert.ok(moved.length === 7, JSON.stringify(renamed.steps));
    assert.deepEqual(new Set(moved.map(([, step]) => step)), new Set(["same"]));
  });

  it("a component of an older version, under another type, keeps what it made, when its type is named as an alias, and makes the rest", async () => {
    await project.up(async () => {
      new OldBucket("older");
    });
    const program = async () => {
      onAws("older", {}, { aliases: [{ type: "kamal-postgres-backup:index:OldBucket" }] });
    };
    const { steps } = await project.up(program);
    const { "older-versioning": versioning, "older-policy": policy } = steps;
    assert.deepEqual({ versioning, policy }, { versioning: "same", policy: "create" });
    assert.ok(
      !Object.values(steps).some((step) => /replace|delete/.test(step)),
      JSON.stringify(steps),
    );
    assert.equal((await project.drift(program)).code, 0);
  });

  it("a bucket that exists on AWS is taken into the stack with its contents, and gets the settings", async () => {
    const args = { import: "made-by-hand", prefix: "shop" } as const;
    await s3.send(new CreateBucketCommand({ Bucket: args.import }));
    await s3.send(new PutObjectCommand({ Bucket: args.import, Key: "shop/old", Body: "1" }));
    const program = async () => {
      onAws("imported", args);
    };
    const { steps, diffs } = await project.up(program);
    assert.equal(steps["imported"], "import", JSON.stringify(diffs));
    assert.equal(steps["imported-lifecycle"], "create");
    await s3.send(new HeadObjectCommand({ Bucket: args.import, Key: "shop/old" }));
    const { Rules = [] } = await s3.send(
      new GetBucketLifecycleConfigurationCommand({ Bucket: args.import }),
    );
    assert.equal(Rules.find(({ ID }) => ID === "expire")?.Filter?.Prefix, "shop/");
    assert.equal((await project.drift(program)).code, 0);
  });

  it("over plain http, where the containers use https, the bucket's policy refuses everyone, its administrator too", async () => {
    const program = (endpoint: string) => async () => ({
      name: onAws("plain", { endpoint }).bucketName,
    });
    await project.up(program(store.endpoint));
    const outputs = await project.outputs();
    const put = new PutObjectCommand({ Bucket: outputs["name"]?.value, Key: "shop/x", Body: "1" });
    await s3.send(put);
    const { steps } = await project.up(program("https://s3.example.com"));
    assert.equal(steps["plain-policy"], "update");
    await assert.rejects(s3.send(put), { name: "AccessDenied" });
  });
});

interface State {
  readonly checkpoint: {
    readonly latest: {
      readonly resources: readonly {
        readonly urn: string;
        readonly type: string;
        readonly provider?: string;
      }[];
    };
  };
}

function providerName(reference: string): string {
  return /::([^:]+)::[^:]+$/.exec(reference)?.[1] ?? reference;
}

/** Name of the provider of each resource of a package in a state. */
function providersOf(state: string, types: string): string[] {
  const { checkpoint } = JSON.parse(state) as State;
  return checkpoint.latest.resources
    .filter(({ type }) => type.startsWith(types))
    .map(({ provider = "" }) => providerName(provider));
}
