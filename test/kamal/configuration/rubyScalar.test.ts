import assert from "node:assert/strict";
import { test } from "node:test";
import { readKamalConfig } from "../../../kamal/configuration/config.ts";
import { rubyScalar } from "../../../kamal/configuration/rubyScalar.ts";

/** As Ruby 3.3 with psych 5.3 prints them; test/kamal/realKamal.test.ts asks it again. */
const PRINTED: readonly [text: string, printed: string | boolean | null | undefined][] = [
  ["1e3", "1e3"],
  ["1.5e+3", "1500.0"],
  ["0899", "0899"],
  ["017", "15"],
  ["0x1F", "31"],
  ["0b11", "3"],
  ["1,000", "1000"],
  ["1_000", "1000"],
  ["1_", "1_"],
  ["+5", "5"],
  ["-017", "-15"],
  ["12345678901234567890", "12345678901234567890"],
  ["0xfffffffffffffffff", "295147905179352825855"],
  ["3.10", "3.1"],
  ["17.0", "17.0"],
  ["-0.0", "-0.0"],
  ["0.00001", "1.0e-05"],
  ["12345678901234567.0", "1.2345678901234568e+16"],
  [".", "."],
  ["54:32", "196320"],
  ["20:30.15", "73809.0"],
  ["5432:5432", "5432:5432"],
  ["127.0.0.1:5432:5432", "127.0.0.1:5432:5432"],
  ["y", "y"],
  ["yEs", true],
  ["off", false],
  ["nULL", null],
  ["~", null],
  ["", null],
  [".inf", "Infinity"],
  [":foo", "foo"],
  [":'a b'", "a b"],
  ["2026-11-24", undefined],
  ["2026-11-24 03:15:02", undefined],
];
for (const [text, printed] of PRINTED) {
  test(`unquoted ${JSON.stringify(text)} is ${JSON.stringify(printed)} to Ruby`, () => {
    assert.equal(rubyScalar(text), printed);
  });
}

test("a configuration is read with the values that Kamal has, and a date is named", () => {
  const config = readKamalConfig({
    base: {
      path: "config/deploy.yml",
      text: `service: shop
accessories:
  db:
    image: postgres:17
    host: 192.0.2.10
    env: { USER: 1e3, PASSWORD: 0899, ACCOUNT: 12345678901234567890, TEXT: !!str 1.0, SINCE: 2026-11-24 }
`,
    },
    env: {},
  });
  const clear = config.accessories["db"]?.env.clear ?? {};
  const { USER, PASSWORD, ACCOUNT, TEXT } = clear;
  assert.deepEqual([USER, PASSWORD, ACCOUNT, TEXT], ["1e3", "0899", "12345678901234567890", "1.0"]);
  assert.throws(
    () => clear["SINCE"],
    /accessories\.db\.env\.SINCE is a date to YAML, which Kamal refuses\. Put it into quotes\./,
  );
});
