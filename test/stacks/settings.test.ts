import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { stringify } from "yaml";
import type { PostgresBackupArgs } from "../../components/index.ts";
import { SETTINGS, type Setting } from "../../stacks/settings.ts";

const settings: readonly Setting[] = SETTINGS;
const isDeclared = ({ type }: Setting) => /^(string|integer|boolean)$/.test(type);
/** As it is. */
const plain = { serializers: [(text: unknown) => String(text)] };

test("Pulumi.yaml declares the settings as they are described", (t) => {
  const [head] = readFileSync("Pulumi.yaml", "utf8").split(/^config:\n/m);
  const config = settings
    .filter(isDeclared)
    .map(({ name, type, default: value, description }) => [
      name,
      { type, ...(value !== undefined && { default: value }), description },
    ]);
  const text = stringify({ config: Object.fromEntries(config) }, { lineWidth: 0 });
  t.assert.fileSnapshot(`${head}${text}`, "Pulumi.yaml", plain);
});

test("docs/settings.md lists them, with the arguments of a program that they become", (t) => {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = settings.map((setting) => {
    const { name, type, default: value, argument = [], description } = setting;
    const paths = [argument].flat().map((path) => `\`${path}\``);
    const usual = value === undefined || value === "" ? "" : `\`${value}\``;
    return `| \`${name}\` | ${type} | ${usual} | ${paths.join(", ")} | ${cell(description)} |`;
  });
  const text = `# Settings of a stack

For [the way without TypeScript](quick-start.md#without-typescript). Each is a key \`kamal-postgres-backup:NAME\` of \`stacks/Pulumi.<stack>.yaml\`.
Set one with \`pulumi config set NAME VALUE\`, a secret with \`pulumi config set --secret NAME\`, a part of an object with \`pulumi config set --path NAME.PART VALUE\`.

In a TypeScript program the same is an argument of \`PostgresBackup\`, in the fourth column. A program can do more: a copy in a bucket
that is made too, transforms. This page is made from \`stacks/settings.ts\`.

| setting | type | default | argument | what it is |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
  t.assert.fileSnapshot(text, "docs/settings.md", plain);
});

test("the program reads each of them, and no other", () => {
  const program = ["program", "bucket"].map((file) => readFileSync(`stacks/${file}.ts`, "utf8"));
  const read = program
    .join("\n")
    .matchAll(/config\.(?:get|require)\w*(?:<[^(]*>)?\(\s*"(\w+)"|bucketIn<.*>\(config, "(\w+)"/g);
  const names = new Set([...read].map(([, scalar, bucket]) => scalar ?? bucket));
  assert.deepEqual([...names].toSorted(), settings.map(({ name }) => name).toSorted());
});

/** Pulumi refuses a stack without a value for a setting that has no default, also one that was made before that setting. */
test("an existing stack needs no value for a new setting: each has a default but the path of deploy.yml", () => {
  const required = settings.filter((each) => isDeclared(each) && each.default === undefined);
  assert.deepEqual(
    required.map(({ name }) => name),
    ["kamalConfig"],
  );
});

type Group =
  | "beforeDeploy"
  | "copy"
  | "kamal"
  | "keep"
  | "keys"
  | "notices"
  | "drill"
  | "pointInTime"
  | "postgres"
  | "pull"
  | "registry"
  | "signing"
  | "ssh";
type Argument = {
  [K in keyof PostgresBackupArgs]-?: K extends Group
    ? `${K}.${keyof NonNullable<PostgresBackupArgs[K]> & string}`
    : K;
}[keyof PostgresBackupArgs];
type Path<S> = S extends { argument: infer P } ? (P extends readonly (infer Q)[] ? Q : P) : never;
/** What a program alone can say; `bucket` is several settings. */
type OfPrograms = "bucket" | "transform" | "copy.transform" | "copy.keys";
type PartOfObject = "copy.prefix";
type Missing = Exclude<Argument, Path<(typeof SETTINGS)[number]> | PartOfObject | OfPrograms>;
type Unknown = Exclude<
  Path<(typeof SETTINGS)[number]>,
  | Argument
  | "beforeDeploy"
  | "copy"
  | "keep"
  | "pointInTime"
  | `copy.${"keys" | "bucket"}.${string}`
  | "Encryption.passphrase"
>;

test("every argument of a backup is a setting, which the compiler checks", () => {
  const differences: Record<Missing | Unknown, never> = {};
  assert.deepEqual(differences, {});
});
