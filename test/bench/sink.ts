/**
 * An S3 service that swallows: it speaks just enough of the protocol for one backup, and forgets every byte. Beside the
 * real one it tells how much of a backup's time on one machine is the store's work. Runs in a container of its own, so
 * it imports nothing of ours.
 *
 * `node sink.ts PORT CERTIFICATE KEY`
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";

const [port, certificate = "", key = ""] = process.argv.slice(2);

/** What a look at an object tells; its content is gone. */
interface Swallowed {
  bytes: number;
  readonly runId: string;
}

const objects = new Map<string, Swallowed>();
/** Objects that were put in one piece, which a backup reads back: its manifest. */
const small = new Map<string, Buffer>();
const etag = `"${createHash("md5").digest("hex")}"`;

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  answer(request, response).catch((error: unknown) => {
    console.error(error);
    response.writeHead(500).end();
  });
}).listen(Number(port));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "https://sink");
  const isSmall = request.method === "PUT" && !searchParams.has("partNumber");
  const kept: Buffer[] = [];
  const bytes = await swallow(request, isSmall ? kept : undefined);
  const object = objects.get(pathname);
  const whole = small.get(pathname);
  switch (request.method) {
    case "PUT":
      if (isSmall) small.set(pathname, Buffer.concat(kept));
      else add(pathname, bytes);
      return void response.writeHead(200, { etag }).end();
    case "POST":
      if (searchParams.has("uploads")) {
        const runId = String(request.headers["x-amz-meta-run-id"] ?? "");
        objects.set(pathname, { bytes: 0, runId });
        return xml(response, "InitiateMultipartUploadResult", "<UploadId>1</UploadId>");
      }
      return xml(response, "CompleteMultipartUploadResult", `<ETag>${etag}</ETag>`);
    case "HEAD":
      if (object === undefined) return void response.writeHead(404).end();
      return void response
        .writeHead(200, { "content-length": object.bytes, "x-amz-meta-run-id": object.runId, etag })
        .end();
    default:
      if (whole !== undefined) return void response.writeHead(200, { etag }).end(whole);
      // The listing before a backup: the bucket is always empty.
      return xml(response, "ListBucketResult", "<IsTruncated>false</IsTruncated>");
  }
}

async function swallow(request: IncomingMessage, kept?: Buffer[]): Promise<number> {
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    kept?.push(chunk);
  }
  return bytes;
}

function add(path: string, bytes: number): void {
  const object = objects.get(path);
  if (object !== undefined) object.bytes += bytes;
}

function xml(response: ServerResponse, root: string, content: string): void {
  response
    .writeHead(200, { "content-type": "application/xml" })
    .end(`<?xml version="1.0"?><${root}>${content}</${root}>`);
}
