import { createHash } from "node:crypto";
import type { S3Client } from "@aws-sdk/client-s3";

/**
 * Sends a bucket's settings with Content-MD5, S3's first checksum, instead of the newer ones: every service knows it, and
 * some insist on it. Added before the signature is made, so that it is signed.
 */
export function useContentMd5(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string>; body?: unknown };
      const { body } = request;
      if (typeof body === "string" || body instanceof Uint8Array) {
        const newer = /^x-amz-(sdk-)?checksum-/i;
        const headers = Object.entries(request.headers).filter(([name]) => !newer.test(name));
        const md5 = createHash("md5").update(body).digest("base64");
        request.headers = { ...Object.fromEntries(headers), "content-md5": md5 };
      }
      return next(args);
    },
    { step: "build", priority: "low", name: "contentMd5" },
  );
}
