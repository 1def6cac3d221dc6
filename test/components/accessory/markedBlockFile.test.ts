import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, delete as remove, update } from "../../../components/internal/markedBlock.ts";

const original = "service: shop\naccessories:\n  db:\n    image: postgres:17\n";
const names = Array.from({ length: 12 }, (_, number) => `backup${number}`);

test("blocks that are written and removed at the same time leave the file whole", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "kpb-block-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "deploy.yml");
  await writeFile(file, original);
  const inputs = (name: string, lines: number) => ({
    ...{ file, name, under: "accessories" as const, key: `db_${name}`, confidential: false },
    block: `  db_${name}:\n${"    image: agent\n".repeat(lines)}`,
  });

  await Promise.all(names.map((name) => create(inputs(name, 1))));
  const written = await readFile(file, "utf8");
  for (const name of names) assert.ok(written.includes(`  db_${name}:\n`), name);

  await Promise.all(names.map((name, n) => update("", inputs(name, 1), inputs(name, n + 1))));
  await Promise.all(names.map((name) => remove("", inputs(name, 1))));
  assert.equal(await readFile(file, "utf8"), original);
  assert.deepEqual(await readdir(folder), ["deploy.yml"]);
});
