import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { healingCommand, programFolder } from "../../../cli/stack/project.ts";

const rows = [
  ["Pulumi.yaml", "name: shop\nruntime: nodejs\n", "pulumi up --refresh"],
  ["Pulumi.yaml", "name: shop\noptions:\n  refresh: always\n", "pulumi up"],
  ["Pulumi.yaml", "name: shop\noptions: { refresh: never }\n", "pulumi up --refresh"],
  ["Pulumi.yaml", "name: shop\noptions:\n", "pulumi up --refresh"],
  ["Pulumi.yaml", "name: [\n", "pulumi up --refresh"],
  ["Pulumi.yaml", "", "pulumi up --refresh"],
  ["Pulumi.yml", "options: { refresh: always }\n", "pulumi up"],
  ["Pulumi.json", '{ "options": { "refresh": "always" } }', "pulumi up"],
  ["other.yaml", "options: { refresh: always }\n", "pulumi up --refresh"],
] as const;

test("what heals drift is pulumi up where the project refreshes always, else pulumi up --refresh", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "project-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [index, [file, text, command]] of rows.entries()) {
    const project = join(folder, String(index));
    const below = join(project, "stacks", "more");
    mkdirSync(below, { recursive: true });
    writeFileSync(join(project, file), text);
    for (const cwd of [project, below])
      assert.equal(healingCommand(cwd), command, `${file} ${text}`);
  }
});

test("the program's folder: main is a file or a folder, from the project's folder or absolute", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "project-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const infra = join(folder, "infra.v2");
  const below = join(folder, "config");
  for (const made of [infra, below]) mkdirSync(made);
  writeFileSync(join(infra, "index.ts"), "");
  for (const [main, program] of [
    [undefined, folder],
    ["infra.v2", infra],
    ["infra.v2/index.ts", infra],
    [infra, infra],
    [join(infra, "index.ts"), infra],
  ]) {
    writeFileSync(join(folder, "Pulumi.yaml"), JSON.stringify({ name: "shop", main }));
    assert.equal(programFolder(below), program, main);
  }
  rmSync(join(folder, "Pulumi.yaml"));
  assert.equal(programFolder(below), below);
});
