import assert from "node:assert/strict";
import { test } from "node:test";
import { parseManifest } from "../../../common/contracts/manifest.ts";
import { checkSignature, parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import { Problem } from "../../../common/problem.ts";
import { backupManifest } from "../../support/manifest.ts";

const KEY = "p/app_T.manifest.json";
const good = JSON.stringify(backupManifest());
const deep = "[".repeat(200_000);
const table = { schema: "public", name: "t", rows: 1, exact: true };

const ROWS: readonly [what: string, text: string, sentence: RegExp][] = [
  ["no JSON", "x", /is not JSON; the backup cannot be trusted/],
  ["null", "null", /is not valid: Invalid input/],
  ["a list", "[]", /is not valid: Invalid input/],
  ["a later version", JSON.stringify({ ...backupManifest(), version: 2 }), /has version 2, this/],
  ["brackets without an end", deep, /is not JSON|not valid/],
  [
    "more bytes than any disk has",
    good.replace(/"bytes":\d+/, '"bytes":1e308'),
    /is not valid: object\.bytes/,
  ],
  ["less than nothing", good.replace(/"bytes":\d+/, '"bytes":-1'), /is not valid: object\.bytes/],
  [
    "rows below nothing",
    JSON.stringify(backupManifest({ tables: [{ ...table, rows: -1 }] })),
    /is not valid: tables/,
  ],
  [
    "a prototype in the place of what is needed",
    `{"__proto__":${good}}`,
    /is not valid: (version|database)/,
  ],
];
for (const [what, text, sentence] of ROWS) {
  test(`a manifest that is ${what}: a sentence with its key`, () => {
    assert.throws(
      () => parseManifest(text, KEY),
      (error: Error) => {
        assert.ok(error instanceof Problem, error.stack);
        assert.match(error.message, sentence);
        assert.ok(error.message.includes(KEY));
        return true;
      },
    );
  });
}

test("a field that this version does not know may be nested as deep as it likes", () => {
  const text = good.replace(/}$/, `,"more":${deep}${"]".repeat(200_000)}}`);
  assert.equal(parseManifest(text, KEY).database, "app");
  // What is signed is never as deep.
  const [key] = parseSigningKeys(Buffer.alloc(32, 1).toString("base64url"), "key");
  const mac = { version: 1, key: key?.id, value: "00" };
  assert.equal(checkSignature({ ...JSON.parse(text), mac }, key ? [key] : []), "wrong");
});

test("a manifest that names a prototype changes nothing but itself", () => {
  const text = good.replace(/}$/, ',"__proto__":{"suspect":"planted","polluted":true}}');
  const manifest = parseManifest(text, KEY);
  assert.equal(manifest.suspect, null);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});
