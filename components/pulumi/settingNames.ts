import type { AddressNames } from "../../storage/address/addressNames.ts";

/**
 * What the reader of a message calls an argument, which is given by its path: `bucket.endpoint`, `keep.days`. Whoever
 * wrote a program knows that path; whoever set a stack's configuration knows a key of it.
 */
export type SettingName = (argument: string) => string;

/** For arguments that were written in a program. */
export const asArgument: SettingName = (argument) => argument;

/** Beside the arguments and not in them, so that the public types do not know it. */
const names = new WeakMap<object, SettingName>();

/**
 * Says where the values of a component's arguments come from, so that its messages name that place.
 * @param words the caller's word by the path of an argument; what lies below a path follows it: with
 *   `{ bucket: "existingBucket" }` the argument `bucket.endpoint` is `existingBucket.endpoint`
 * @returns the same arguments, which must reach the component as they are
 */
export function nameSettings<T extends object>(
  args: T,
  words: Readonly<Record<string, string>>,
): T {
  names.set(args, (argument) => {
    const parts = argument.split(".");
    for (let length = parts.length; length > 0; length--) {
      const word = words[parts.slice(0, length).join(".")];
      if (word !== undefined) return [word, ...parts.slice(length)].join(".");
    }
    return argument;
  });
  return args;
}

/** How the messages about these arguments name them. */
export function settingNamesOf(args: object): SettingName {
  return names.get(args) ?? asArgument;
}

/** The names of the arguments below a path. */
export function below(path: string, name: SettingName): SettingName {
  return (argument) => name(`${path}.${argument}`);
}

/** Arguments in which the parts of a bucket's address are given. */
const ADDRESS: AddressNames = {
  endpoint: "endpoint",
  region: "region",
  bucket: "name",
  prefix: "prefix",
  allowInsecure: "allowInsecure",
  accessKeyId: "accessKeyId",
  secretAccessKey: "secretAccessKey",
};

/**
 * The names of the parts of a bucket's address.
 * @param others arguments with another path than that of `ExistingBucket`
 */
export function addressNames(name: SettingName, others: Partial<AddressNames> = {}): AddressNames {
  const paths = { ...ADDRESS, ...others };
  return {
    endpoint: name(paths.endpoint),
    region: name(paths.region),
    bucket: name(paths.bucket),
    prefix: name(paths.prefix),
    allowInsecure: name(paths.allowInsecure),
    accessKeyId: name(paths.accessKeyId),
    secretAccessKey: name(paths.secretAccessKey),
  };
}
