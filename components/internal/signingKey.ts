import { randomBytes } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import { parseSigningKeys, SIGNING_KEY_BYTES } from "../../common/contracts/manifestMac.ts";
import type { RandomKeyInputs } from "../pulumi/randomKey.ts";

export interface SigningKeyState extends RandomKeyInputs {
  /** Keys that were made here, the newest first: it signs, all of them check. Secret. */
  readonly made: readonly string[];
  /** When the first one was made, ISO 8601 in UTC: whatever is stored later is signed. */
  readonly since: string;
}

/**
 * So many keys are kept, the current one included. With a new one each month that is three years, longer than a backup is
 * usually kept; 36 of them are 1,600 characters in the container's environment, where Linux allows 131,072 for one variable
 * (MAX_ARG_STRLEN, execve(2)).
 */
const KEPT = 36;

export async function check(
  _olds: unknown,
  news: RandomKeyInputs,
): Promise<pulumi.dynamic.CheckResult> {
  return { inputs: news };
}

export async function create(inputs: RandomKeyInputs): Promise<pulumi.dynamic.CreateResult> {
  const key = newKey();
  const since = `${new Date().toISOString().slice(0, 19)}Z`;
  const [{ id = "" } = {}] = parseSigningKeys(key, "the new key");
  return { id, outs: { ...inputs, made: [key], since } satisfies SigningKeyState };
}

/** The key exists in the state alone, so what stands there is what is there. */
export async function read(
  id: string,
  props: SigningKeyState,
): Promise<pulumi.dynamic.ReadResult<SigningKeyState>> {
  return { id, props };
}

export async function diff(
  _id: string,
  olds: SigningKeyState,
  news: RandomKeyInputs,
): Promise<pulumi.dynamic.DiffResult> {
  return {
    changes: isNewGeneration(olds, news) || String(olds.given) !== String(news.given),
  };
}

/** Earlier keys stay, so that the backups that they have signed are still known. */
export async function update(
  _id: string,
  olds: SigningKeyState,
  news: RandomKeyInputs,
): Promise<pulumi.dynamic.UpdateResult> {
  const made = isNewGeneration(olds, news) ? [newKey(), ...olds.made].slice(0, KEPT) : olds.made;
  return { outs: { ...news, made, since: olds.since } satisfies SigningKeyState };
}

/** It goes with the state. */
async function remove(): Promise<void> {}

export { remove as delete };

function isNewGeneration(olds: RandomKeyInputs, news: RandomKeyInputs): boolean {
  return olds.generation !== news.generation;
}

function newKey(): string {
  return randomBytes(SIGNING_KEY_BYTES).toString("base64url");
}
