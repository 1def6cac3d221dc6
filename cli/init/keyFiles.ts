import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../common/age/keys.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { makeFolder } from "./makeFolder.ts";

/** A file for its owner alone, which was there or was made. */
export interface KeyFile {
  readonly path: string;
  readonly isNew: boolean;
  /** Removes it again, if it was made here. */
  readonly takeBack: () => void;
}

/** A recovery key. */
export interface RecoveryKey extends KeyFile {
  /** `age1...` */
  readonly recipient: string;
  /** `AGE-SECRET-KEY-1...` */
  readonly identity: string;
}

/**
 * The private key that opens the backups, as `age-keygen` writes it; one that is there is taken.
 * @throws Problem where the file holds something else
 */
export function recoveryKey(path: string, write: boolean): RecoveryKey {
  const known = existsSync(path) ? identityIn(path) : undefined;
  const identity = known ?? generateIdentity();
  const recipient = formatRecipient(publicKeyOf(parseIdentity(identity)));
  const text = `# Opens the backups of kamal-postgres-backup. Keep it in two places that are not the server.\n# public key: ${recipient}\n${identity}\n`;
  const isNew = known === undefined && write;
  return { ...(isNew ? create(path, text) : untouched(path)), recipient, identity };
}

function identityIn(path: string): string {
  const line = readFileSync(path, "utf8").match(/^AGE-SECRET-KEY-1\S+$/m)?.[0];
  try {
    parseIdentity(line ?? "");
  } catch (error) {
    throw new Problem(
      `${path} is there and holds no key: ${messageOf(error)} Name another file with --key-file. Nothing was written.`,
    );
  }
  return line as string;
}

/** The passphrase that encrypts the secrets of stacks; one that is there is taken. */
export function passphraseFile(path: string): KeyFile {
  return existsSync(path) ? untouched(path) : create(path, randomBytes(24).toString("base64url"));
}

function untouched(path: string): KeyFile {
  return { path, isNew: false, takeBack: () => {} };
}

function create(path: string, text: string): KeyFile {
  try {
    makeFolder(dirname(path));
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw new Problem(`${path} cannot be written: ${messageOf(error)}. Nothing was written.`, {
      cause: error,
    });
  }
  return { path, isNew: true, takeBack: () => rmSync(path, { force: true }) };
}
