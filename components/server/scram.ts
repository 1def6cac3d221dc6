import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

/** PostgreSQL's own number (src/include/common/scram-common.h, SCRAM_SHA_256_DEFAULT_ITERATIONS). */
const ITERATIONS = 4096;
const VERIFIER = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/;

/**
 * What PostgreSQL stores of a password (RFC 5803). Made here, so that no statement that may stand in the server's log has the
 * password in it.
 * @param password ASCII, which needs no preparation by RFC 4013
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16)): string {
  const { stored, server } = keysOf(password, salt, ITERATIONS);
  return `SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString("base64")}$${stored}:${server}`;
}

/** Whether what a server stores is that of the password. */
export function matchesVerifier(password: string, verifier: string): boolean {
  const [, iterations, salt = "", stored, server] = VERIFIER.exec(verifier) ?? [];
  if (iterations === undefined) return false;
  const keys = keysOf(password, Buffer.from(salt, "base64"), Number(iterations));
  return keys.stored === stored && keys.server === server;
}

function keysOf(password: string, salt: Uint8Array, iterations: number) {
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  return {
    stored: createHash("sha256").update(hmac("Client Key")).digest("base64"),
    server: hmac("Server Key").toString("base64"),
  };
}
