import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseSecrets, quoteSecret, renderSecretsBlock } from "../../kamal/secretsFile.ts";

/** Pieces that mean something to dotenv or to a shell, among any other characters that Kamal hands on unchanged. */
const piece = fc.oneof(
  fc.constantFrom("$(", "$A", "${A}", " #", "$()", "export ", "\u2028", "'", '"', "=", ": "),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
);
const value = fc
  .array(piece, { maxLength: 9 })
  .map((pieces) => pieces.join(""))
  .filter((text) => text.isWellFormed() && !/[\\\p{Cc}]/u.test(text));
const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,15}$/);

/** The one combination that no quoting in a secrets file can hold. */
const unquotable = (text: string) =>
  text.includes("'") && text.includes("#") && text.includes("$(");

test("what is quoted is read back, among other lines too", () => {
  fc.assert(
    fc.property(value, (text) => {
      fc.pre(!unquotable(text));
      const line = quoteSecret("K", text);
      const parsed = parseSecrets(`A=a\n${line}\nB=b # c\n`, { A: "env" });
      assert.deepEqual(Object.fromEntries(parsed), { A: "a", K: text, B: "b" });
    }),
    { numRuns: 3000 },
  );
});

test("of those that cannot be quoted, each is refused or read back; none is changed", () => {
  fc.assert(
    fc.property(
      fc.shuffledSubarray(["'", "#", "$(", ")", "a", " "], { minLength: 4 }),
      (pieces) => {
        const text = pieces.join("");
        fc.pre(unquotable(text));
        let line: string;
        try {
          line = quoteSecret("K", text);
        } catch (error) {
          assert.match((error as Error).message, /no quoting/);
          assert.ok(!(error as Error).message.includes(text));
          return;
        }
        assert.equal(parseSecrets(line, {}).get("K"), text);
      },
    ),
  );
});

test("a block of secrets holds each of its entries, in order", () => {
  const entries = fc.dictionary(
    name,
    value.filter((text) => !unquotable(text)),
    { maxKeys: 6 },
  );
  fc.assert(
    fc.property(entries, (given) => {
      const parsed = parseSecrets(renderSecretsBlock(given), {});
      assert.deepEqual([...parsed], Object.entries(given));
    }),
    { numRuns: 500 },
  );
});
