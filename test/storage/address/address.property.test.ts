import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type AddressInput, parseAddress } from "../../../storage/address/address.ts";
import { matchHost } from "../../../storage/address/providers.ts";

const segment = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/);
const prefix = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));

const bucket = fc
  .stringMatching(/^[a-z][a-z0-9-]{2,30}[a-z0-9]$/)
  .filter((name) => !/^(s3|minio|storage|objects?|oss|rgw|ceph|garage)$/.test(name));
const cloud: fc.Arbitrary<Pick<AddressInput, "endpoint" | "region">> = fc.constantFrom(
  { endpoint: "https://s3.eu-west-3.amazonaws.com", region: "eu-west-3" },
  { endpoint: "https://s3.fr-par.scw.cloud", region: "fr-par" },
  { endpoint: "https://fra1.digitaloceanspaces.com", region: "fra1" },
  { endpoint: "https://fsn1.your-objectstorage.com", region: "fsn1" },
  { endpoint: `https://${"0a".repeat(16)}.eu.r2.cloudflarestorage.com`, region: "auto" },
  { endpoint: "https://s3.eu-central-003.backblazeb2.com", region: "eu-central-003" },
  { endpoint: "https://s3.eu-central-1.ionoscloud.com", region: "de" },
  { endpoint: "https://s3.gra.io.cloud.ovh.net", region: "gra" },
);
const own: fc.Arbitrary<Pick<AddressInput, "endpoint" | "region">> = fc
  .tuple(fc.constantFrom("s3", "minio", "storage"), fc.integer({ min: 1024, max: 65_535 }), segment)
  .map(([host, port, region]) => ({
    endpoint: `https://${host}.example.org:${port}`,
    region: region.replaceAll(".", "-"),
  }));

describe("for any address", () => {
  it("what was understood is understood as the same once more, without a word", () => {
    fc.assert(
      fc.property(fc.oneof(cloud, own), bucket, prefix, (service, name, at) => {
        const address = parseAddress({ ...service, bucket: name, prefix: at });
        const { endpoint, region, prefix: folderOf } = address;
        assert.deepEqual(
          [endpoint, region, address.bucket, folderOf],
          [service.endpoint, service.region, name, at],
        );
        assert.deepEqual(
          parseAddress({ endpoint, region, bucket: address.bucket, prefix: at }),
          address,
        );
        assert.deepEqual(address.notices, []);
      }),
    );
  });

  it("however a console writes the bucket, it is the same address", () => {
    fc.assert(
      fc.property(fc.oneof(cloud, own), bucket, prefix, (service, name, at) => {
        const plain = parseAddress({ ...service, bucket: name, prefix: at });
        const url = new URL(service.endpoint ?? "");
        const inHost = `https://${name}.${url.host}`;
        const forms: Partial<AddressInput>[] = [
          { endpoint: `${url.origin}/` },
          { endpoint: `${url.origin}/${name}` },
          { endpoint: `${url.origin}/${name}/` },
          { endpoint: inHost },
          { endpoint: inHost, bucket: `${name}.${url.hostname}` },
          { bucket: ` ${name} `, prefix: `/${at}//` },
          { endpoint: `${url.origin}/${name}`, bucket: "" },
          ...(matchHost(url.hostname) ? [{ region: "", bucket: `${name}.${url.hostname}` }] : []),
        ];
        for (const form of forms) {
          const given = { ...service, bucket: name, prefix: at, ...form };
          if (
            given.region === "" &&
            matchHost(url.hostname)?.region === undefined &&
            !plain.provider.fixedRegion
          )
            continue;
          const { notices: _, ...address } = parseAddress(given);
          const { notices: _none, ...expected } = plain;
          assert.deepEqual(address, expected, JSON.stringify(given));
        }
      }),
    );
  });
});
