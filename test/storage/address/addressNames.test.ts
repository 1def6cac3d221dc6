import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AddressInput,
  type AddressNames,
  COPY_ENVIRONMENT_NAMES,
  checkEndpoint,
  checkServiceAddress,
  ENVIRONMENT_NAMES,
  isSameBucket,
  parseAddress,
} from "../../../storage/address/address.ts";
import { chooseBackup } from "../../../storage/catalogue/selectBackup.ts";
import { proveRetention, rulesOf } from "../../../storage/planning/retentionProof.ts";
import { cleanCredentials } from "../../../storage/s3/credentials.ts";
import { explain, notS3 } from "../../../storage/s3/errors.ts";

/** As a TypeScript program writes them. */
const ARGUMENTS: AddressNames = {
  endpoint: "bucket.endpoint",
  region: "bucket.region",
  bucket: "bucket.name",
  prefix: "prefix",
  allowInsecure: "bucket.allowInsecure",
  accessKeyId: "accessKeyId",
  secretAccessKey: "secretAccessKey",
};

const scaleway = {
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  bucket: "mybkt",
  prefix: "backup",
};
const minio = { ...scaleway, endpoint: "https://minio.example.org" };
/** One input for each sentence of parseAddress, refusal and notice alike. */
const INPUTS: Record<string, AddressInput> = {
  "no scheme": { ...scaleway, endpoint: "s3.fr-par.scw.cloud" },
  "no address": { ...scaleway, endpoint: "https://s3 fr" },
  "a password": { ...scaleway, endpoint: "https://key:pw@s3.fr-par.scw.cloud" },
  "a query": { ...scaleway, endpoint: "https://s3.fr-par.scw.cloud/?x=1" },
  "a CDN host": { ...scaleway, endpoint: "https://mybkt.nyc3.cdn.digitaloceanspaces.com" },
  "a broken escape": { ...scaleway, endpoint: "https://s3.fr-par.scw.cloud/%zz" },
  "a path": { ...scaleway, endpoint: "https://s3.fr-par.scw.cloud/other" },
  "another bucket's host": { ...scaleway, endpoint: "https://other.s3.fr-par.scw.cloud" },
  "the bucket's host": { ...scaleway, endpoint: "https://mybkt.s3.fr-par.scw.cloud" },
  "the bucket before an unknown host": { ...scaleway, endpoint: "https://mybkt.example.org" },
  "plain http": { ...scaleway, endpoint: "http://s3.fr-par.scw.cloud" },
  "AWS itself": { ...scaleway, endpoint: "https://s3.amazonaws.com", region: "eu-west-3" },
  "another region": { ...scaleway, region: "nl-ams" },
  "no region, in the host": { ...scaleway, region: "" },
  "no region": { ...minio, region: "" },
  "a bad region": { ...minio, region: "eu west" },
  "a region that is unknown there": {
    ...scaleway,
    endpoint: `https://${"0".repeat(32)}.r2.cloudflarestorage.com`,
  },
  "no bucket": { ...scaleway, bucket: "" },
  "no bucket, in the host": {
    ...scaleway,
    endpoint: "https://mybkt.s3.fr-par.scw.cloud",
    bucket: "",
  },
  "a host for a bucket": { ...scaleway, bucket: "mybkt.s3.fr-par.scw.cloud" },
  "a host of another service": { ...scaleway, bucket: "mybkt.s3.nl-ams.scw.cloud" },
  "a host without an endpoint": {
    region: "fr-par",
    prefix: "backup",
    bucket: "mybkt.s3.fr-par.scw.cloud",
  },
  "a dotted bucket": { region: "eu-west-3", bucket: "my.bkt", prefix: "backup" },
  "a folder in the bucket": { ...scaleway, bucket: "mybkt/prefix" },
  "an upper-case bucket": { ...scaleway, bucket: "MyBkt" },
  "no folder": { ...scaleway, prefix: "//" },
  "a wildcard": { ...scaleway, prefix: "shop/*" },
  slashes: { ...scaleway, prefix: "/backup/" },
};

/** Every sentence of one input. */
function sentences(input: AddressInput, names?: AddressNames): string {
  try {
    return parseAddress(input, names).notices.join("\n");
  } catch (error) {
    return (error as Error).message;
  }
}

const copied = (text: string) => text.replace(/(?<![A-Z_])S3_(?=[A-Z])/g, "COPY_S3_");

describe("messages about an address name the setting in the caller's own word", () => {
  for (const [what, input] of Object.entries(INPUTS)) {
    it(what, () => {
      const variables = sentences(input);
      assert.match(variables, /\bS3_[A-Z]/, "the case has no sentence");
      assert.equal(sentences(input, ENVIRONMENT_NAMES), variables);
      assert.equal(sentences(input, COPY_ENVIRONMENT_NAMES), copied(variables));
      const program = sentences(input, ARGUMENTS);
      assert.doesNotMatch(program, /S3_/);
      assert.match(program, /bucket\.(endpoint|region|name)|^prefix /m);
    });
  }

  it("a value to set stands as it is written there", () => {
    const { "plain http": http, "a host of another service": host } = INPUTS;
    assert.match(sentences(http as AddressInput, ARGUMENTS), /set bucket\.allowInsecure: true on/);
    assert.match(
      sentences(host as AddressInput, ARGUMENTS),
      /Use bucket\.name: "mybkt" and bucket\.endpoint: "https:\/\/s3\.nl-ams\.scw\.cloud"\./,
    );
  });

  it("an endpoint alone", () => {
    assert.throws(() => checkEndpoint("s3.x", false, ARGUMENTS), /^Problem: bucket\.endpoint "s3/);
    assert.throws(
      () => checkEndpoint("http://s3.x", false, ARGUMENTS),
      /set bucket\.allowInsecure: true/,
    );
  });

  it("an endpoint for a bucket whose name is not made yet", () => {
    checkServiceAddress("https://s3.fr-par.scw.cloud/", false, ARGUMENTS);
    assert.throws(
      () => checkServiceAddress("https://s3.x/a%20b", false, ARGUMENTS),
      /bucket\.endpoint has a path "\/a b".*use https:\/\/s3\.x\. A folder goes in prefix/,
    );
    assert.throws(
      () => checkServiceAddress("https://mybkt.s3.fr-par.scw.cloud", false, ARGUMENTS),
      /bucket\.endpoint names the bucket "mybkt"/,
    );
  });

  it("names are no part of where a bucket is", () => {
    assert.ok(isSameBucket(parseAddress(scaleway), parseAddress(scaleway, ARGUMENTS)));
  });
});

describe("so do the messages about", () => {
  const error = (name: string, parts: object = {}) =>
    Object.assign(new Error(name), { name, ...parts });
  const failures = [
    error("NoSuchKey"),
    error("NoSuchBucket"),
    error("InvalidAccessKeyId"),
    error("ExpiredToken"),
    error("SignatureDoesNotMatch"),
    error("PermanentRedirect"),
    error("PermanentRedirect", { Region: "nl-ams" }),
    error("ENOTFOUND"),
    error("ETIMEDOUT"),
    error("wrong version number"),
    error("ERR_TLS", { code: "ERR_TLS_CERT_ALTNAME_INVALID" }),
    error("Deserialization error"),
  ];
  for (const failure of failures) {
    it(`an answer of the service: ${failure.name}${"Region" in failure ? " with a region" : ""}`, () => {
      const sentence = (names?: AddressNames) =>
        explain(failure, parseAddress(scaleway, names), "list").message;
      assert.match(sentence(), /\bS3_[A-Z]/);
      assert.equal(sentence(COPY_ENVIRONMENT_NAMES), copied(sentence()));
      assert.doesNotMatch(sentence(ARGUMENTS), /S3_/);
      assert.match(sentence(ARGUMENTS), /bucket\.(endpoint|region|name)|ccessKey/);
    });
  }

  it("a region that is described and not set", () => {
    const regionRemedy = "Give the bucket that region, then run pulumi up";
    const names = { ...ARGUMENTS, region: "the bucket's region", regionRemedy };
    const sentence = (parts: object) =>
      explain(error("PermanentRedirect", parts), parseAddress(scaleway, names), "list").message;
    assert.equal(
      sentence({ Region: "nl-ams" }),
      "cannot list: bucket mybkt is not in region fr-par but in nl-ams. Give the bucket that region, then run pulumi up.",
    );
    assert.equal(
      sentence({}),
      "cannot list: bucket mybkt is not in region fr-par. Look its region up at the provider. Give the bucket that region, then run pulumi up.",
    );
  });

  it("what is no S3 service", () => {
    assert.match(notS3(parseAddress(scaleway, ARGUMENTS)).message, /Check bucket\.endpoint/);
  });

  it("keys", () => {
    const keys = { accessKeyId: "k", secretAccessKey: " " };
    assert.throws(() => cleanCredentials(keys, undefined, ARGUMENTS), /: secretAccessKey is empty/);
  });

  it("a backup to choose", () => {
    assert.throws(() => chooseBackup([], "latest", "app", "s3://b/p"), /or check S3_PREFIX and/);
    assert.throws(
      () => chooseBackup([], "latest", "app", "s3://b/p", COPY_ENVIRONMENT_NAMES),
      /or check COPY_S3_PREFIX and/,
    );
  });

  it("schedule and retention", () => {
    const plan = {
      schedule: "@weekly",
      rules: rulesOf({ longestGapHours: 168, perDay: 1 / 7 }, 7),
      noncurrentDays: 0,
      provider: "AWS",
    };
    assert.throws(
      () => proveRetention(plan, { schedule: "copy.every", retention: "copy.bucket.retention" }),
      /copy\.every and copy\.bucket\.retention contradict.*\n.*given {3}copy\.every "@weekly" .*, copy\.bucket\.retention 7 days/,
    );
  });
});
