import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const PAGE = "docs/security.md";

interface Row {
  readonly stolen: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

function rowsOf(page: string): Row[] {
  const table = page.split("\n").filter((line) => line.startsWith("| "));
  return table.slice(2).map((line) => {
    const cells = line.split("|").slice(1, -1);
    const held = cells.at(-1) ?? "";
    const named = [...held.matchAll(/`(?<file>test\/[^`]+)`: "(?<title>[^"]+)"/g)];
    assert.equal(named.length, held.split("`test/").length - 1, `a test without title: ${line}`);
    return {
      stolen: (cells[0] ?? "").trim(),
      tests: named.map(({ groups = {} }) => ({
        file: groups["file"] ?? "",
        title: groups["title"] ?? "",
      })),
    };
  });
}

/** Titles as they stand in the source, those of a table with anything for each of its values. */
function titlesOf(source: string): RegExp[] {
  const calls = /\b(?:test|it|describe)\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g;
  return [...source.matchAll(calls)].map(([, plain, template = ""]) => {
    const text = plain?.replace(/\\(.)/g, "$1") ?? template;
    const parts = plain === undefined ? text.split(/\$\{[^}]*\}/) : [text];
    return new RegExp(`^${parts.map(escaped).join(".+")}$`);
  });
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

/** @returns what is wrong with it, a sentence each */
function faultsOf(rows: readonly Row[]): string[] {
  return rows.flatMap(({ stolen, tests }) => [
    ...(tests.length === 0 ? [`${stolen}: no test`] : []),
    ...tests.flatMap(({ file, title }) => {
      if (!existsSync(file)) return [`${stolen}: there is no ${file}`];
      const found = titlesOf(readFileSync(file, "utf8")).some((one) => one.test(title));
      return found ? [] : [`${stolen}: ${file} has no test "${title}"`];
    }),
  ]);
}

test("each row of the security model is held by tests that are there", () => {
  const rows = rowsOf(readFileSync(PAGE, "utf8"));
  assert.deepEqual(faultsOf(rows), []);
  const stolen = rows.map((row) => row.stolen).join("\n");
  for (const thing of [
    /writer's key/,
    /writer's key, in marks/,
    /reader's key/,
    /age identity/,
    /passphrase/,
    /signing key/,
    /root on the host/,
    /state file and its passphrase/,
    /deploy\.yml/,
    /secrets file/,
    /registry login/,
    /CI's credentials/,
  ]) {
    assert.match(stolen, thing);
  }
});

test("a row whose test is gone, renamed or not named is found", () => {
  const row = (held: string) => rowsOf(`| a | b |\n| --- | --- |\n| a thing | ${held} |`);
  const here = "test/project/security.test.ts";
  const good = "a row whose test is gone, renamed or not named is found";
  assert.deepEqual(faultsOf(row(`\`${here}\`: "${good}"`)), []);
  assert.deepEqual(faultsOf(row("nothing")), ["a thing: no test"]);
  assert.deepEqual(faultsOf(row(`\`${here}\`: "${good}s"`)), [
    `a thing: ${here} has no test "${good}s"`,
  ]);
  assert.deepEqual(faultsOf(row('`test/none.test.ts`: "x"')), [
    "a thing: there is no test/none.test.ts",
  ]);
  assert.throws(() => row(`\`${here}\``), /a test without title/);
});
