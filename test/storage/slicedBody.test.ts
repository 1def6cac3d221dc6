import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { it } from "node:test";
import { S3Client, UploadPartCommand } from "@aws-sdk/client-s3";
import { inSlices } from "../../storage/s3/slicedBody.ts";

const part = randomBytes(5 * 1024 * 1024 + 3);
const command = () =>
  inSlices(
    new UploadPartCommand({ Bucket: "b", Key: "k", UploadId: "1", PartNumber: 1, Body: part }),
  );
const credentials = { accessKeyId: "A", secretAccessKey: "S" };

it("sends the whole part again when the service was busy", async () => {
  const received: Buffer[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const body = Buffer.concat(await request.toArray());
    received.push(body);
    response.writeHead(received.length === 1 ? 503 : 200, { etag: '"e"' }).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, region: "x", forcePathStyle: true, credentials });
  try {
    const { ETag } = await client.send(command());
    assert.equal(ETag, '"e"');
    assert.equal(received.length, 2);
    assert.ok(received.every((body) => body.equals(part)));
  } finally {
    client.destroy();
    server.closeAllConnections();
    server.close();
  }
});

it("hands out no byte after the service has answered", async () => {
  let body: Readable | undefined;
  const requestHandler = {
    handle: async (request: { readonly body: Readable }) => {
      body = request.body;
      throw new Error("refused at once");
    },
  };
  const client = new S3Client({ region: "x", credentials, maxAttempts: 1, requestHandler });
  await assert.rejects(client.send(command()), /refused at once/);
  assert.ok(body instanceof Readable);
  assert.equal(body.destroyed, true);
});
