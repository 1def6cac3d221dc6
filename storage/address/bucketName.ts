import { Problem } from "../../common/problem.ts";
import { type AddressNames, ENVIRONMENT_NAMES } from "./addressNames.ts";

interface Rule {
  readonly broken: (name: string) => boolean;
  readonly words: string | ((names: AddressNames) => string);
}

/**
 * The naming rules of S3 buckets, each with its words.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
const rules: readonly Rule[] = [
  { broken: (name) => name.includes("://"), words: "give the bare name, not an address" },
  {
    broken: (name) => name.includes("/"),
    words: ({ prefix }) => `a bucket name has no "/"; put a folder in ${prefix}`,
  },
  { broken: (name) => /\s/.test(name), words: "a bucket name has no blanks" },
  { broken: (name) => name.includes("_"), words: 'a bucket name has no "_"' },
  { broken: (name) => /[A-Z]/.test(name), words: "a bucket name has no upper-case letters" },
  {
    broken: (name) => name.length < 3 || name.length > 63,
    words: "a bucket name has 3 to 63 characters",
  },
  {
    broken: (name) => /[^a-z0-9.-]/.test(name),
    words: "a bucket name has only lower-case letters, digits, dots and hyphens",
  },
  {
    broken: (name) => !/^[a-z0-9].*[a-z0-9]$/.test(name),
    words: "a bucket name begins and ends with a letter or a digit",
  },
  {
    broken: (name) => name.includes(".."),
    words: "a bucket name has no two dots in a row",
  },
  {
    broken: (name) => /^\d+\.\d+\.\d+\.\d+$/.test(name),
    words: "a bucket name is not an IP address",
  },
];

/** @throws Problem that names the first rule which the name breaks */
export function checkBucketName(name: string, names: AddressNames = ENVIRONMENT_NAMES): void {
  const rule = rules.find(({ broken }) => broken(name));
  if (rule !== undefined) {
    const words = typeof rule.words === "string" ? rule.words : rule.words(names);
    throw new Problem(`${names.bucket} "${name}" cannot be a bucket: ${words}.`);
  }
}
