import { writeFile } from "node:fs/promises";
import { Problem } from "../problem.ts";

/**
 * Writes a private key where `ssh` reads it. It takes only a file that nobody else can read, and refuses a text that lacks
 * its last line end, as `$(cat FILE)` leaves it, or that has those of Windows.
 * @param path of a file that does not exist yet, in a folder of its own
 */
export async function writePrivateKey(path: string, key: string): Promise<void> {
  const text = key.replaceAll("\r\n", "\n").trim();
  await writeFile(path, `${text}\n`, { mode: 0o600, flag: "wx" });
}

/**
 * @throws Problem for a text that `ssh` could not use without asking: it would only say that the server refused it. Never
 * repeats the text
 */
export function checkPrivateKey(key: string): void {
  if (!key.trimStart().startsWith("-----BEGIN ")) {
    throw new Problem(
      "ssh.privateKey holds no private key: its first line must be -----BEGIN OPENSSH PRIVATE KEY-----. Give the content of the file, not its path.",
    );
  }
  if (hasPassphrase(key)) {
    throw new Problem(
      "ssh.privateKey is protected by a passphrase, which nobody could type. Give a key without one (ssh-keygen -p removes it from a copy), or use the SSH agent.",
    );
  }
}

/**
 * Whether a private key is protected by a passphrase. OpenSSH's own format names the cipher, `none` for a bare key, after
 * a fixed word (OpenSSH's PROTOCOL.key, section 1); the older ones say it in clear text, `Proc-Type: 4,ENCRYPTED`
 * (RFC 1421) and `BEGIN ENCRYPTED PRIVATE KEY` (RFC 5958).
 */
export function hasPassphrase(key: string): boolean {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(key)?.[1];
  if (body === undefined) return /ENCRYPTED/.test(key);
  const bytes = Buffer.from(body, "base64");
  const at = "openssh-key-v1\0".length;
  // Cut short: no key at all, as ssh will say.
  if (bytes.length < at + 4) return false;
  return bytes.toString("latin1", at + 4, at + 4 + bytes.readUInt32BE(at)) !== "none";
}
