import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressInput, isSameBucket, parseAddress } from "../../storage/address/address.ts";

const AT: Record<string, Partial<AddressInput>> = {
  AWS: { region: "eu-west-3" },
  "AWS by its address": {
    endpoint: "https://s3.eu-west-3.amazonaws.com",
    region: "eu-west-3",
  },
  Scaleway: { endpoint: "https://s3.fr-par.scw.cloud", region: "fr-par" },
  "Scaleway, bucket in front": { endpoint: "https://shop.s3.fr-par.scw.cloud", region: "fr-par" },
  "Scaleway elsewhere": { endpoint: "https://s3.nl-ams.scw.cloud", region: "nl-ams" },
};
const address = (at: string, bucket = "shop", prefix = "shop") =>
  parseAddress({ region: "", ...AT[at], bucket, prefix });

const ROWS: [a: string, b: string, same: boolean][] = [
  ["AWS", "AWS by its address", true],
  ["Scaleway", "Scaleway, bucket in front", true],
  ["Scaleway", "Scaleway elsewhere", false],
  ["AWS", "Scaleway", false],
];
for (const [a, b, same] of ROWS) {
  test(`${a} and ${b}: ${same ? "the same bucket" : "two buckets"}`, () => {
    assert.equal(isSameBucket(address(a), address(b, "shop", "another/folder")), same);
    assert.equal(isSameBucket(address(b), address(a)), same);
    assert.equal(isSameBucket(address(a, "another-bucket"), address(b)), false);
  });
}
