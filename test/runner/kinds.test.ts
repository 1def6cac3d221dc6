import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findTests, kindOf, loadsPulumi, starterOf, tagsOf } from "./kinds.ts";

let folder: string;
before(() => {
  mkdirSync("build", { recursive: true });
  folder = mkdtempSync("build/kinds-");
});
after(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, "some.test.ts");
  writeFileSync(path, text);
  return path;
}

const up = "../../test";

for (const [what, text, starter] of [
  ["starts programs itself", 'import { spawn } from "node:child_process";', "node:child_process"],
  [
    "imports a world",
    `import { startStore } from "${up}/support/servers/store.ts";`,
    "node:child_process",
  ],
  [
    "imports it in several lines",
    `import {\n  a,\n  b,\n} from "${up}/agent/world.ts";`,
    "node:child_process",
  ],
  [
    "imports it when it runs",
    `await import("${up}/support/servers/sshd.ts");`,
    "node:child_process",
  ],
  [
    "runs Pulumi's engine",
    `import { openProject } from "${up}/support/engineProject.ts";`,
    "@pulumi/pulumi/automation/index.js",
  ],
  [
    "takes a world's type alone",
    `import type { TestStore } from "${up}/support/servers/store.ts";`,
    undefined,
  ],
  [
    "imports the product, which starts programs",
    'import { run } from "../../agent/streams/process.ts";',
    undefined,
  ],
] as const) {
  test(`a file that ${what} is a ${starter === undefined ? "unit" : "world"} test`, () => {
    const path = file(text);
    assert.equal(starterOf(path)?.at(-1), starter);
    assert.equal(kindOf(path), starter === undefined ? "unit" : "world");
  });
}

test("a file that declares resources loads Pulumi, whether at once or when it runs", () => {
  assert.ok(loadsPulumi(file(`import { declare } from "${up}/components/mocks.ts";`)));
  assert.ok(loadsPulumi(file(`await import("${up}/../components/index.ts");`)));
  assert.ok(!loadsPulumi(file('import { parseAddress } from "../../storage/address/address.ts";')));
});

test("a tag stands in the first lines, on a line of its own", () => {
  assert.deepEqual(tagsOf(file("// tag: cloud, last\nimport x")), ["cloud", "last"]);
  assert.deepEqual(tagsOf(file('const tag = "// tag: cloud";')), []);
  assert.deepEqual(tagsOf(file(`${"\n".repeat(9)}// tag: cloud`)), []);
});

test("every journey and every test on the engine is a world test, and most of the pure rooms are unit tests", () => {
  const unit = findTests([]).filter((path) => kindOf(path) === "unit");
  assert.deepEqual(
    unit.filter((path) => /^test\/(?:journeys|engine|sandbox\/providers)\//.test(path)),
    [],
  );
  assert.ok(unit.includes("test/storage/address/address.test.ts"));
  assert.ok(unit.length > 40, unit.join("\n"));
});

test("a word is a part of a path or a tag", () => {
  const cloud = findTests(["cloud"]);
  assert.ok(cloud.some((path) => path.startsWith("test/journeys/cloud/")));
  assert.ok(cloud.includes("test/project/package.test.ts"));
  assert.ok(!cloud.includes("test/storage/address/address.test.ts"));
  assert.deepEqual(findTests(["no-such-word"]), []);
});
