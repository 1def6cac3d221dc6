import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AddressInput, parseAddress } from "../../../storage/address/address.ts";

const scaleway: AddressInput = {
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  bucket: "mybkt",
  prefix: "backup",
};

const settled = {
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  bucket: "mybkt",
  prefix: "backup",
  forcePathStyle: true,
};

type Expected = Partial<typeof settled> & { readonly notices?: number };

describe("parseAddress settles", () => {
  const cases: Record<string, [Partial<AddressInput>, Expected]> = {
    "the right combination, unchanged": [{}, {}],
    "a trailing slash": [{ endpoint: "https://s3.fr-par.scw.cloud/" }, {}],
    "blanks around the endpoint": [{ endpoint: " https://s3.fr-par.scw.cloud " }, {}],
    "the bucket in the endpoint's host": [
      { endpoint: "https://mybkt.s3.fr-par.scw.cloud" },
      { notices: 1 },
    ],
    "the bucket in the endpoint's host and path": [
      { endpoint: "https://mybkt.s3.fr-par.scw.cloud/mybkt/" },
      { notices: 1 },
    ],
    "the article's case: the bucket's host name in both": [
      { endpoint: "https://mybkt.s3.fr-par.scw.cloud", bucket: "mybkt.s3.fr-par.scw.cloud" },
      { notices: 2 },
    ],
    "the bucket as the endpoint's path": [
      { endpoint: "https://s3.fr-par.scw.cloud/mybkt" },
      { notices: 1 },
    ],
    "a bucket that ends with the endpoint's host": [
      { bucket: "mybkt.s3.fr-par.scw.cloud" },
      { notices: 1 },
    ],
    "a bucket that ends with an unknown endpoint's host": [
      { endpoint: "https://objects.example.org", bucket: "mybkt.objects.example.org" },
      { endpoint: "https://objects.example.org", notices: 1 },
    ],
    "a bucket and endpoint that are one unknown host": [
      { endpoint: "http://mybkt.s3.localhost:8333", bucket: "mybkt.s3.localhost" },
      { endpoint: "http://s3.localhost:8333", notices: 2 },
    ],
    "the bucket missing but in the endpoint's host": [
      { endpoint: "https://mybkt.s3.fr-par.scw.cloud", bucket: "" },
      { notices: 2 },
    ],
    "the bucket missing but in the endpoint's path": [
      { endpoint: "https://s3.fr-par.scw.cloud/mybkt", bucket: "" },
      { notices: 2 },
    ],
    "a bucket called like the service's first label": [
      { endpoint: "https://minio.example.org", bucket: "minio", region: "x" },
      { endpoint: "https://minio.example.org", bucket: "minio", region: "x", notices: 1 },
    ],
    "an IP address with the bucket as path": [
      { endpoint: "http://127.0.0.1:8333/mybkt", region: "us-east-1" },
      { endpoint: "http://127.0.0.1:8333", region: "us-east-1", notices: 1 },
    ],
    "an IP address of a trusted network": [
      { endpoint: "http://172.18.0.3:8333/mybkt", allowInsecure: true },
      { endpoint: "http://172.18.0.3:8333", notices: 1 },
    ],
    "IPv6 loopback": [{ endpoint: "http://[::1]:9000" }, { endpoint: "http://[::1]:9000" }],
    "slashes around and inside the folder": [
      { prefix: "/shop//production/" },
      { prefix: "shop/production", notices: 1 },
    ],
    "a region that only the host names": [{ region: "" }, { notices: 1 }],
    "R2, which knows one region": [
      {
        endpoint: `https://${"0a".repeat(16)}.eu.r2.cloudflarestorage.com/mybkt`,
        region: "us-west-1",
      },
      {
        endpoint: `https://${"0a".repeat(16)}.eu.r2.cloudflarestorage.com`,
        region: "auto",
        notices: 2,
      },
    ],
    "DigitalOcean's console address": [
      { endpoint: "https://mybkt.nyc3.digitaloceanspaces.com", region: "nyc3" },
      { endpoint: "https://nyc3.digitaloceanspaces.com", region: "nyc3", notices: 1 },
    ],
    "Hetzner's console address": [
      { endpoint: "https://mybkt.fsn1.your-objectstorage.com", region: "fsn1" },
      { endpoint: "https://fsn1.your-objectstorage.com", region: "fsn1", notices: 1 },
    ],
    "IONOS, whose host and region string differ": [
      { endpoint: "https://s3.eu-central-1.ionoscloud.com", region: "de" },
      { endpoint: "https://s3.eu-central-1.ionoscloud.com", region: "de" },
    ],
    "a dotted bucket on AWS": [
      { endpoint: "https://s3.eu-west-3.amazonaws.com", region: "eu-west-3", bucket: "my.bkt" },
      {
        endpoint: "https://s3.eu-west-3.amazonaws.com",
        region: "eu-west-3",
        bucket: "my.bkt",
        notices: 1,
      },
    ],
    "a bucket's host on AWS": [
      { endpoint: "https://mybkt.s3.eu-west-3.amazonaws.com", region: "eu-west-3" },
      {
        endpoint: "https://s3.eu-west-3.amazonaws.com",
        region: "eu-west-3",
        forcePathStyle: false,
        notices: 1,
      },
    ],
  };
  for (const [name, [given, { notices = 0, ...expected }]] of Object.entries(cases)) {
    it(name, () => {
      const address = parseAddress({ ...scaleway, ...given });
      const { provider: _, notices: said, names: _names, ...rest } = address;
      assert.deepEqual(rest, { ...settled, ...expected });
      assert.equal(said.length, notices, said.join("\n"));
    });
  }

  it("no endpoint as AWS", () => {
    for (const endpoint of [undefined, "", "https://s3.amazonaws.com"]) {
      const address = parseAddress({ ...scaleway, endpoint, region: "eu-west-3" });
      assert.equal(address.endpoint, undefined);
      assert.equal(address.provider.name, "AWS");
      assert.equal(address.forcePathStyle, false);
    }
  });
});

describe("parseAddress refuses", () => {
  const cases: Record<string, [Partial<AddressInput>, RegExp]> = {
    "no scheme": [
      { endpoint: "s3.fr-par.scw.cloud" },
      /S3_ENDPOINT "s3\.fr-par\.scw\.cloud" has no scheme.*did you mean https:\/\/s3\.fr-par\.scw\.cloud \?/,
    ],
    "another scheme": [{ endpoint: "s3://mybkt" }, /has no scheme http or https; use https/],
    "no address": [{ endpoint: "https://s3 fr" }, /is not an address/],
    "a password in the endpoint": [
      { endpoint: "https://key:hidden@s3.fr-par.scw.cloud" },
      /has a user or password in it/,
    ],
    "a query": [{ endpoint: "https://s3.fr-par.scw.cloud/?x=1" }, /query/],
    "a path that is not the bucket": [
      { endpoint: "https://s3.fr-par.scw.cloud/other" },
      /has a path "\/other".*put the bucket in S3_BUCKET, a folder in S3_PREFIX/,
    ],
    "a path below the bucket": [
      { endpoint: "https://s3.fr-par.scw.cloud/mybkt/backup" },
      /has a path "\/mybkt\/backup"/,
    ],
    "a host that names another bucket": [
      { endpoint: "https://other.s3.fr-par.scw.cloud" },
      /names the bucket "other", S3_BUCKET says "mybkt"/,
    ],
    "a CDN host": [
      { endpoint: "https://mybkt.nyc3.cdn.digitaloceanspaces.com" },
      /public\/CDN address, not the S3 API/,
    ],
    "a website host": [
      { endpoint: "http://mybkt.s3-website.eu-west-3.amazonaws.com" },
      /public\/CDN address/,
    ],
    "an r2.dev host": [{ endpoint: "https://pub-1.r2.dev" }, /public\/CDN address/],
    "a region that contradicts the host": [
      { region: "nl-ams" },
      /S3_ENDPOINT says fr-par, S3_REGION says nl-ams/,
    ],
    "no region where the host names none": [
      { endpoint: "https://minio.example.org", region: "" },
      /S3_REGION is empty/,
    ],
    "a region that is none": [
      { endpoint: "https://minio.example.org", region: "eu west" },
      /S3_REGION "eu west"/,
    ],
    "no bucket": [{ bucket: " " }, /S3_BUCKET is empty/],
    "a bucket's host of another service": [
      { bucket: "mybkt.s3.nl-ams.scw.cloud" },
      /S3_BUCKET "mybkt\.s3\.nl-ams\.scw\.cloud" looks like a host name.*Use S3_BUCKET=mybkt/,
    ],
    "a bucket's host without an endpoint": [
      { endpoint: undefined, bucket: "mybkt.s3.fr-par.scw.cloud" },
      /Use S3_BUCKET=mybkt and S3_ENDPOINT=https:\/\/s3\.fr-par\.scw\.cloud/,
    ],
    "a bucket with a scheme": [{ bucket: "s3://mybkt" }, /bare name, not an address/],
    "a bucket with a slash": [{ bucket: "mybkt/prefix" }, /no "\/".*S3_PREFIX/],
    "a bucket with blanks": [{ bucket: "my bkt" }, /no blanks/],
    "a bucket in upper case": [{ bucket: "MyBkt" }, /no upper-case/],
    "a bucket with an underscore": [{ bucket: "my_bkt" }, /no "_"/],
    "a short bucket": [{ bucket: "ab" }, /3 to 63 characters/],
    "a long bucket": [{ bucket: "a".repeat(64) }, /3 to 63 characters/],
    "a bucket that ends in a hyphen": [{ bucket: "mybkt-" }, /begins and ends/],
    "a bucket with two dots": [{ bucket: "my..bkt" }, /two dots/],
    "a bucket that is an IP address": [{ bucket: "192.0.2.1" }, /IP address/],
    "a bucket with other letters": [{ bucket: "münchen" }, /only lower-case letters/],
    "plain http to another machine": [
      { endpoint: "http://s3.fr-par.scw.cloud" },
      /plain http.*S3_ALLOW_INSECURE=true/,
    ],
    "plain http to a container's address": [
      { endpoint: "http://172.18.0.3:8333/mybkt" },
      /S3_ALLOW_INSECURE=true/,
    ],
    "a host that only begins like loopback": [
      { endpoint: "http://127.0.0.1.example.org" },
      /S3_ALLOW_INSECURE=true/,
    ],
    "a path with a broken escape": [
      { endpoint: "https://h/%zz" },
      /S3_ENDPOINT "https:\/\/h\/%zz" has a path with a "%".*Use only https:\/\/h\./,
    ],
    "no folder": [{ prefix: "//" }, /S3_PREFIX is empty/],
    "a folder with a wildcard": [{ prefix: "shop/*" }, /S3_PREFIX "shop\/\*"/],
    "a folder that climbs": [{ prefix: "shop/../x" }, /S3_PREFIX/],
  };
  for (const [name, [given, message]] of Object.entries(cases)) {
    it(name, () => {
      assert.throws(
        () => parseAddress({ ...scaleway, ...given }),
        (error: Error) => {
          assert.equal(error.name, "Problem");
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /hidden/);
          return true;
        },
      );
    });
  }
});
