import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkSecret,
  parseSecrets,
  quoteSecret,
  renderSecretLookups,
  renderSecretsBlock,
  secretFilePaths,
} from "../../kamal/secretsFile.ts";

test("the files that Kamal reads", () => {
  assert.deepEqual(secretFilePaths(), [".kamal/secrets-common", ".kamal/secrets"]);
  assert.deepEqual(secretFilePaths("staging"), [".kamal/secrets-common", ".kamal/secrets.staging"]);
  assert.deepEqual(secretFilePaths("staging", "keys"), ["keys-common", "keys.staging"]);
});

test("a secrets file as people have it", () => {
  const parsed = parseSecrets(
    `# For kamal; the registry's token comes from the password manager
KAMAL_REGISTRY_PASSWORD=$(op read "op://shop/registry (new)/token")
export RAILS_MASTER_KEY = 'it is $HOME \\n # "literal"'
DB_PASSWORD=$DB_PASSWORD_FROM_CI
URL="postgres://shop:\${DB_PASSWORD}@db/\\$x"   # for the app
PLAIN: some words  # and a comment
HASH=a#b
EMPTY=
TOKEN_COPY=$KAMAL_REGISTRY_PASSWORD
MULTI='two
lines'
not a line
2ND=ok\r
`,
    { DB_PASSWORD_FROM_CI: 'p$w"#' },
  );
  assert.deepEqual(Object.fromEntries(parsed), {
    KAMAL_REGISTRY_PASSWORD: { command: 'op read "op://shop/registry (new)/token"' },
    RAILS_MASTER_KEY: 'it is $HOME \\n # "literal"',
    DB_PASSWORD: 'p$w"#',
    URL: 'postgres://shop:p$w"#@db/$x',
    PLAIN: "some words",
    HASH: "a",
    EMPTY: "",
    TOKEN_COPY: { command: 'op read "op://shop/registry (new)/token"' },
    MULTI: "two\nlines",
    "2ND": "ok",
  });
});

/** Each row was compared with what Kamal 2.11 reads. */
const VALUES: readonly (readonly [line: string, value: string])[] = [
  ["K='a\\nb'", "a\\nb"],
  ['K="a\\nb"', "a\\nb"],
  ['K="a\\\\b"', "a\\b"],
  ['K="\\"q\\""', '"q"'],
  ["K=a\\ b", "a b"],
  ["K='a'b#c'", "'a'b"],
  ["K='it's'", "it's"],
  ['K="$MISSING."', "."],
  ['K="$"', "$"],
  ['K="\\$(id)"', "$(id)"],
  ['K="$()"', "$()"],
  ['K="$(open"', "$(open"],
  ["K='$(id)'", "$(id)"],
  ["K=  spaced  ", "spaced"],
  ["K", ""],
];

for (const [line, value] of VALUES) {
  test(`reads ${line}`, () => assert.equal(parseSecrets(line, {}).get("K"), value));
}

test("commands are never run and make the value unresolved", () => {
  assert.deepEqual(parseSecrets('K="a $(echo $(id)) b"', {}).get("K"), { command: "echo $(id)" });
  assert.deepEqual(parseSecrets("K=\\$(a)$(kamal secrets fetch)", {}).get("K"), {
    command: "kamal secrets fetch",
  });
});

test("an export of nothing", () => {
  assert.equal(parseSecrets("K=1\nexport K\n", {}).get("K"), "1");
  assert.throws(() => parseSecrets("export K\n", {}), {
    name: "Problem",
    message: /"export K" has no value/,
  });
});

const QUOTED: readonly (readonly [value: string, line: string])[] = [
  ["plain", "K='plain'"],
  ["", "K=''"],
  [' "a" $b # c ', `K=' "a" $b # c '`],
  ["it's", `K="it's"`],
  [`it's "$x" #`, `K="it's \\"\\$x\\" #"`],
  ["it's $(", "K='it's $('"],
];

for (const [value, line] of QUOTED) {
  test(`quotes ${value}`, () => {
    assert.equal(quoteSecret("K", value), line);
    assert.equal(parseSecrets(line, {}).get("K"), value);
  });
}

const REFUSED: readonly (readonly [value: string, culprit: string])[] = [
  ["hunter\\2", "a backslash"],
  ["hunter2\n", "a line end"],
  ["hun\rter2", "a line end"],
  ["hun\tter2", "a tab"],
  ["hun\u001bter2", "a control character"],
  ["hun\u0000ter2", "a control character"],
  ["hun\u007fter2", "a control character"],
  ["hunter2\ud800", "half a Unicode character"],
];

for (const [value, culprit] of REFUSED) {
  test(`refuses ${JSON.stringify(value)} without saying it`, () => {
    const message = `secret DB_PASSWORD contains ${culprit}, which Kamal alters on the way to the container. Choose a value without it.`;
    assert.throws(() => checkSecret("DB_PASSWORD", value), { name: "Problem", message });
    assert.throws(() => quoteSecret("DB_PASSWORD", value), { name: "Problem", message });
  });
}

test("a value that no quoting holds is refused without saying it", () => {
  assert.throws(() => quoteSecret("K", "a'b#c$("), {
    name: "Problem",
    message:
      "secret K has a ', a # and $( together, which no quoting in a secrets file can hold. Choose a value without one of them.",
  });
  assert.throws(() => quoteSecret("a b", "x"), /"a b" cannot be a secret's name/);
});

test("the block of a secrets file", () => {
  assert.equal(
    renderSecretsBlock({
      DB_BACKUP_S3_ACCESS_KEY_ID: "AKIA",
      DB_BACKUP_S3_SECRET_ACCESS_KEY: "a/b+c='",
    }),
    `DB_BACKUP_S3_ACCESS_KEY_ID='AKIA'
DB_BACKUP_S3_SECRET_ACCESS_KEY="a/b+c='"
`,
  );
  assert.equal(renderSecretsBlock({}), "");
});

test("look-ups of a stack's outputs hold no secret, and take only values that come out of them unchanged", () => {
  const entries = { DB_BACKUP_S3_ACCESS_KEY_ID: "AKIA", DB_BACKUP_PASSPHRASE: "a 'b' #c" };
  assert.equal(
    renderSecretLookups(entries, "organization/backups/shop-production"),
    `DB_BACKUP_S3_ACCESS_KEY_ID=$(pulumi stack output DB_BACKUP_S3_ACCESS_KEY_ID --stack organization/backups/shop-production --show-secrets)
DB_BACKUP_PASSPHRASE=$(pulumi stack output DB_BACKUP_PASSPHRASE --stack organization/backups/shop-production --show-secrets)
`,
  );
  for (const [value, sentence] of [
    ["cash$HOME", /^secret K contains a "\$", which does not come out/],
    [" x", /blank at its beginning/],
    ["a\\b", /contains a backslash/],
  ] as const) {
    assert.throws(
      () => renderSecretLookups({ K: value }, "o/p/s"),
      (error: Error) => {
        assert.match(error.message, sentence);
        return !error.message.includes(value);
      },
    );
  }
  assert.throws(() => renderSecretLookups(entries, "o/p/s; rm"), /must be ORGANIZATION/);
});
