import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { layOutProject } from "../../sandbox/stack/projectFolder.ts";

test("the engine starts real plugins where the program runs, and the stack's settings are never overwritten", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "project-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const settings = await layOutProject(folder, "first");
  const project = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8"));
  assert.equal(resolve(folder, project.main), process.cwd());
  assert.equal(project.name, "kamal-postgres-backup");

  // From its own folder it may be moved and cloned, as a repository is.
  await layOutProject(folder, "first", folder);
  assert.equal(parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8")).main, ".");

  appendFileSync(settings, "encryptionsalt: v1:salt\n");
  assert.equal(await layOutProject(folder, "first"), settings);
  assert.match(readFileSync(settings, "utf8"), /^encryptionsalt: v1:salt$/m);
});
