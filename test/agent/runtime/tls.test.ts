// tag: cloud
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { PutBucketPolicyCommand } from "@aws-sdk/client-s3";
import { bucketPolicy } from "../../../storage/bucket/bucketPolicy.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { agent, failure, unavailable, World } from "../world.ts";

describe("a service that is reached over TLS", { skip: unavailable }, () => {
  const folder = mkdtempSync(join(tmpdir(), "kpb-tls-"));
  const authority = join(folder, "authority.pem");
  let world: World;
  let secure: Record<string, string>;

  before(async () => {
    world = await World.start(makeCertificate(folder, authority));
    await world.database("shop", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const plain = await world.environment("shop");
    const bucket = plain["S3_BUCKET"] ?? "";
    const rules = { bucket, prefix: "", tlsOnly: true, denyOverwrite: false };
    await world.s3.send(
      new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(bucketPolicy(rules)) }),
    );
    const key = await world.keyThatMay(bucket, "s3:*");
    secure = { ...plain, ...key, S3_ENDPOINT: world.store.tlsEndpoint ?? "" };
  });
  after(async () => {
    await world?.stop();
    rmSync(folder, { recursive: true });
  });

  it("backs up and restores with a certificate of an authority of one's own", async () => {
    const trusting = { ...secure, NODE_EXTRA_CA_CERTS: authority };
    const manifest = await world.backup(trusting);
    assert.equal(manifest.tables[0]?.rows, 1000);
    const restored = await agent(trusting, "restore", "latest", "--into", "again", "--json");
    assert.equal(restored.code, 0, failure(restored));
    assert.equal((await world.query("again", "SELECT FROM t")).length, 1000);
  });

  it("refuses a certificate of an authority that it does not know", async () => {
    const refused = await agent(secure, "backup", "--json");
    assert.equal(refused.code, 1);
    assert.match(failure(refused), /authority that is not known here.*NODE_EXTRA_CA_CERTS/);
  });

  it("plain http is refused by the bucket's policy", async () => {
    const refused = await agent(
      { ...secure, S3_ENDPOINT: world.store.endpoint },
      "backup",
      "--json",
    );
    assert.equal(refused.code, 1);
    assert.match(failure(refused), /the access key may not do this in agent-1/);
  });
});
