import { Problem } from "../../common/problem.ts";
import { type AddressNames, ENVIRONMENT_NAMES } from "../address/addressNames.ts";
import type { Provider } from "../address/providers.ts";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Takes blanks, line ends and enclosing quotes off a pair of keys, and looks whether they can be keys of this provider.
 * @returns the keys to use, and one sentence for each thing that was changed or looks doubtful; never a key in it
 * @throws Problem when a key is empty, has white space inside, or cannot be a key of this provider
 */
export function cleanCredentials(
  given: Credentials,
  provider?: Provider,
  names: Pick<AddressNames, "accessKeyId" | "secretAccessKey"> = ENVIRONMENT_NAMES,
): Credentials & { readonly notices: readonly string[] } {
  const notices: string[] = [];
  const clean = (name: string, value: string) => {
    const bare = value
      .trim()
      .replace(/^(["'])(.*)\1$/s, "$2")
      .trim();
    if (bare === "") throw new Problem(`${name} is empty. Set it to the key from the provider.`);
    if (/\s/.test(bare)) {
      throw new Problem(`${name} has a blank or line end inside. Copy the key once more.`);
    }
    if (bare !== value) {
      notices.push(`${name} had blanks, quotes or a line end around it; they were taken off.`);
    }
    return bare;
  };
  const accessKeyId = clean(names.accessKeyId, given.accessKeyId);
  const secretAccessKey = clean(names.secretAccessKey, given.secretAccessKey);
  if (provider?.secret !== undefined && !provider.secret.pattern.test(secretAccessKey)) {
    throw new Problem(
      `${names.secretAccessKey} cannot be a secret of ${provider.name}: it must be ${provider.secret.words}.`,
    );
  }
  if (provider?.keyId !== undefined && !provider.keyId.test(accessKeyId)) {
    notices.push(
      `${names.accessKeyId} does not look like a key of ${provider.name}; is it of another provider?`,
    );
  }
  return { accessKeyId, secretAccessKey, notices };
}
