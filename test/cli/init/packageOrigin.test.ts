import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";
import { isOnPath } from "../../../cli/doctor/localChecks.ts";
import { packageOrigin } from "../../../cli/init/packageOrigin.ts";

test("a project depends on what was started: npx's tarball, a version of the registry, never a checkout", (t) => {
  const place = mkdtempSync(join(tmpdir(), "origin-"));
  t.after(() => rmSync(place, { recursive: true }));
  const cache = join(place, "npx/1f2e");
  const root = join(cache, "node_modules/kamal-postgres-backup");
  mkdirSync(root, { recursive: true });
  const tarball = join(place, "kamal-postgres-backup-0.1.0.tgz");
  writeFileSync(tarball, "");
  // As npm 11 writes it.
  const installedFrom = (resolved: string) =>
    writeFileSync(
      join(cache, "node_modules/.package-lock.json"),
      JSON.stringify({ packages: { "node_modules/kamal-postgres-backup": { resolved } } }),
    );
  assert.deepEqual(packageOrigin(root, "0.1.0"), { dependency: "0.1.0" });
  installedFrom(`file:${relative(cache, tarball)}`);
  const ofTarball = { dependency: "file:kamal-postgres-backup-0.1.0.tgz", tarball };
  assert.deepEqual(packageOrigin(root, "0.1.0"), ofTarball);
  assert.deepEqual(packageOrigin(root, "0.1.0", tarball), ofTarball);
  assert.deepEqual(packageOrigin(root, "0.1.0", "^0.2.0"), { dependency: "^0.2.0" });
  installedFrom(
    "https://registry.npmjs.org/kamal-postgres-backup/-/kamal-postgres-backup-0.1.0.tgz",
  );
  assert.deepEqual(packageOrigin(root, "0.1.0"), { dependency: "0.1.0" });
  installedFrom("file:gone.tgz");
  assert.throws(
    () => packageOrigin(root, "0.1.0"),
    /gone\.tgz is not there any more\. Name .* --package/,
  );
  assert.throws(
    () => packageOrigin(place, "0.1.0"),
    /started from a checkout.*npm pack \.\/dist.*--package/,
  );
});

test("a program is on PATH where somebody may run it", (t) => {
  const place = mkdtempSync(join(tmpdir(), "path-"));
  t.after(() => rmSync(place, { recursive: true }));
  mkdirSync(join(place, "folder"));
  writeFileSync(join(place, "text"), "");
  writeFileSync(join(place, "program"), "", { mode: 0o755 });
  const path = `/nowhere:${place}`;
  assert.deepEqual(
    ["program", "text", "folder", "none"].map((name) => isOnPath(name, path)),
    [true, false, false, false],
  );
  assert.equal(isOnPath("program", undefined), false);
});
