import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const ROOMS: Record<string, readonly string[]> = {
  common: [],
  kamal: ["common"],
  storage: ["common"],
  agent: ["storage", "common"],
  cli: ["kamal", "storage", "common"],
  components: ["kamal", "storage", "common"],
  stacks: ["components"],
};

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)];
  return specifiers.map(([, path]) => normalize(join(dirname(file), path as string)));
}

for (const [room, allowed] of Object.entries(ROOMS)) {
  test(`${room}/ imports only from ${["itself", ...allowed].join(", ")}`, () => {
    const wrong = globSync(`${room}/**/*.ts`).flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const other = target.split("/")[0] as string;
          return other !== room && !allowed.includes(other);
        })
        .map((target) => `${file} -> ${target}`),
    );
    assert.deepEqual(wrong, []);
  });
}

test("the rooms that know no Pulumi import none", () => {
  const wrong = ["common", "kamal", "storage", "agent"].flatMap((room) =>
    globSync(`${room}/**/*.ts`).filter((file) => readFileSync(file, "utf8").includes('"@pulumi/')),
  );
  assert.deepEqual(wrong, []);
});

test("@pulumi/command is the 1.x line: 4.5.0 on npm is an old build with a wrong number", () => {
  const manifest = JSON.parse(readFileSync("node_modules/@pulumi/command/package.json", "utf8"));
  assert.equal(manifest.version, "1.2.1");
});
