import type { UploadPartCommand } from "@aws-sdk/client-s3";
import type { StoreAddress } from "../address/address.ts";

/**
 * Leaves the body of a part out of the request's signature where TLS protects it, which saves hashing every byte of a backup
 * a second time. Nobody on the way can change it there; the rest of the request stays signed; a checksum on the part, where
 * the bucket demands one, stays too; and the SHA-256 over the whole object, in the signed manifest, is what every reader
 * compares. Over plain http the signature is the body's only protection, so it stays.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function leaveUnsigned(
  command: UploadPartCommand,
  { endpoint }: StoreAddress,
): UploadPartCommand {
  if (endpoint?.startsWith("http:") === true) return command;
  command.middlewareStack.add(
    (next) => (args) => {
      // The signer takes what stands here instead of computing it.
      const { headers } = args.request as { headers: Record<string, string> };
      headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      return next(args);
    },
    { step: "build", name: "unsignedPayload" },
  );
  return command;
}
