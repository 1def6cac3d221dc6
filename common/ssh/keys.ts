import { writeFile } from "node:fs/promises";
import { Problem } from "../problem.ts";

const HEADER = /^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\n/;
const FOOTER = /\n-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----(?:\n|$)/;

/**
 * Writes a private key where `ssh` reads it. It takes only a file that nobody else can read, and refuses a text that lacks
 * its last line end, as `$(cat FILE)` leaves it, or whose lines do not begin and end as it wrote them.
 * @param path of a file that does not exist yet, in a folder of its own
 */
export async function writePrivateKey(path: string, key: string): Promise<void> {
  await writeFile(path, `${linesOfKey(key)}\n`, { mode: 0o600, flag: "wx" });
}

/**
 * A private key as other readers of PEM than `ssh` take it, too. A text that they take already stays byte for byte, since
 * it stands in the states of stacks; so does one that is no private key.
 */
export function portablePrivateKey(key: string): string {
  // Go's encoding/pem looks for both words at the beginning of a line, and takes blanks elsewhere.
  if (/(?:^|\n)-----BEGIN [^\r\n]*-----[ \t\r]*\n[\s\S]*\n-----END /.test(key)) return key;
  return isPrivateKey(key) ? `${linesOfKey(key)}\n` : key;
}

/** Whether the text has the first and the last line of a private key in PEM. */
export function isPrivateKey(key: string): boolean {
  const text = linesOfKey(key);
  return HEADER.test(text) && FOOTER.test(text);
}

/**
 * @param setting how messages name it
 * @throws Problem for a text that `ssh` could not use without asking: it would only say that the server refused it. Never
 * repeats the text
 */
export function checkPrivateKey(key: string, setting = "ssh.privateKey"): void {
  if (!isPrivateKey(key)) {
    throw new Problem(
      `${setting} is no readable private key: its first line must be -----BEGIN OPENSSH PRIVATE KEY-----, and its last one -----END OPENSSH PRIVATE KEY-----. Give the content of the file, not its path.`,
    );
  }
  if (hasPassphrase(key)) {
    throw new Problem(
      `${setting} is protected by a passphrase, which nobody could type. Give a key without one (ssh-keygen -p removes it from a copy), or use the SSH agent.`,
    );
  }
}

/**
 * Whether a private key is protected by a passphrase. OpenSSH's own format names the cipher, `none` for a bare key, after
 * a fixed word (OpenSSH's PROTOCOL.key, section 1); the older ones say it in clear text, `Proc-Type: 4,ENCRYPTED`
 * (RFC 1421) and `BEGIN ENCRYPTED PRIVATE KEY` (RFC 5958).
 */
export function hasPassphrase(key: string): boolean {
  const text = linesOfKey(key);
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(text)?.[1];
  if (body === undefined) {
    return /^Proc-Type: ?4, ?ENCRYPTED$|^-----BEGIN ENCRYPTED PRIVATE KEY-----$/m.test(text);
  }
  const bytes = Buffer.from(body, "base64");
  const word = "openssh-key-v1\0";
  const at = word.length;
  // Damaged or cut short: no key at all, as ssh will say.
  if (bytes.length < at + 4 || bytes.toString("latin1", 0, at) !== word) return false;
  return bytes.toString("latin1", at + 4, at + 4 + bytes.readUInt32BE(at)) !== "none";
}

/**
 * The lines as they were before a variable of CI (`\n` as two characters), a YAML block (indentation) or an editor (CR)
 * changed them.
 */
function linesOfKey(key: string): string {
  return key
    .replaceAll(/(?:\\r)?\\n/g, "\n")
    .replaceAll(/\r\n?/g, "\n")
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}
