import { S3Client } from "@aws-sdk/client-s3";
import type { StoreAddress } from "../address/address.ts";
import type { Credentials } from "./credentials.ts";
import type { ObjectStore } from "./objectStore.ts";
import { S3ObjectStore } from "./s3ObjectStore.ts";

/** A bucket at a service: its objects, and the client for whoever asks for its settings. */
export interface Store extends ObjectStore {
  readonly client: S3Client;
}

/**
 * Opens a store; nothing is sent yet. Every wait is bounded: an unreachable host fails within 40 s, a peer that falls
 * silent after one minute, each after the retries of the SDK.
 */
export function openStore(address: StoreAddress, credentials: Credentials): Store {
  const checksums =
    address.provider.checksums === "when-supported" ? "WHEN_SUPPORTED" : "WHEN_REQUIRED";
  const agent = { keepAlive: true, maxSockets: 16 };
  const client = new S3Client({
    ...(address.endpoint !== undefined && { endpoint: address.endpoint }),
    region: address.region,
    forcePathStyle: address.forcePathStyle,
    credentials: {
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: credentials.secretAccessKey,
    },
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    maxAttempts: 6,
    retryMode: "adaptive",
    requestHandler: {
      connectionTimeout: 5_000,
      socketTimeout: 60_000,
      requestTimeout: 600_000,
      // Without it the SDK only prints a warning and waits on.
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
  return new S3ObjectStore(client, address);
}
