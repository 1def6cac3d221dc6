import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { serializeFunction } from "@pulumi/pulumi/runtime/index.js";
import { providerOf } from "../../components/pulumi/dynamicPackage.ts";

/** The state that `test/engine/upgrade.test.ts` goes on from, whose program ran from the sources as this test does. */
const older: {
  deployment?: { resources: readonly Stored[] };
  resources?: readonly Stored[];
} = JSON.parse(readFileSync("test/engine/olderState.json", "utf8"));

interface Stored {
  readonly inputs?: { readonly __provider?: unknown };
}

/** Texts of providers in the state, by the module that they hand over to. */
const texts = new Map(
  (older.deployment?.resources ?? older.resources ?? []).flatMap(({ inputs }) => {
    const text = textOf(inputs?.__provider);
    const module = /module: "(\w+)"/.exec(text ?? "")?.[1];
    return text === undefined || module === undefined ? [] : [[module, text] as const];
  }),
);

/** A secret of the exported state holds its value as JSON. */
function textOf(provider: unknown): string | undefined {
  if (typeof provider === "string") return provider;
  const plaintext = (provider as { plaintext?: string } | undefined)?.plaintext;
  return plaintext === undefined ? undefined : JSON.parse(plaintext);
}

test("the state holds the text of four providers", () => {
  assert.deepEqual([...texts.keys()].toSorted(), [
    "accessoryState",
    "keyProbe",
    "markedBlock",
    "signingKey",
  ]);
});

for (const [module, stored] of texts) {
  test(`the text of ${module} that Pulumi keeps in users' states has not changed`, async () => {
    const provider = providerOf(module);
    const { text } = await serializeFunction(() => provider, { allowSecrets: true });
    assert.equal(text, stored);
  });
}
