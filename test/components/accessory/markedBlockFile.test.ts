import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import {
  create,
  read,
  delete as remove,
  update,
} from "../../../components/internal/markedBlock.ts";

const original = "service: shop\naccessories:\n  db:\n    image: postgres:17\n";
const names = Array.from({ length: 12 }, (_, number) => `backup${number}`);

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kpb-block-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const blockOf = (file: string, name: string) => ({
  ...{ file, name, under: "accessories" as const, key: `db_${name}`, confidential: false },
  block: `  db_${name}:\n    image: agent\n`,
});

const secretsOf = (file: string) => ({
  ...{ file, name: "shop", under: "" as const, key: "", confidential: true },
  block: "DB_BACKUP_KEY='x'\n",
});

test("blocks that are written and removed at the same time leave the file whole", async (t) => {
  const folder = await folderOf(t);
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

test("two processes that write blocks into one file lose none", async (t) => {
  const folder = await folderOf(t);
  const file = join(folder, "deploy.yml");
  await writeFile(file, original);
  const module = resolve("components/internal/markedBlock.ts");
  const ready = await folderOf(t);
  const program = `import { create } from ${JSON.stringify(module)};
    import { readdirSync, writeFileSync } from "node:fs";
    const [file, ready, prefix] = process.argv.slice(-3);
    writeFileSync(ready + "/" + prefix, "");
    while (readdirSync(ready).length < 2);
    for (let round = 0; round < 15; round++) {
      const name = prefix + round;
      await create({ file, name, under: "accessories", key: "db_" + name, confidential: false, block: "  db_" + name + ":\\n    image: agent\\n" });
    }`;
  const run = promisify(execFile);
  const words = (prefix: string) => [
    "--input-type=module",
    "-e",
    program,
    "--",
    file,
    ready,
    prefix,
  ];
  await Promise.all(["a", "b"].map((prefix) => run(process.execPath, words(prefix))));
  const text = await readFile(file, "utf8");
  const lost = ["a", "b"].flatMap((prefix) =>
    Array.from({ length: 15 }, (_, round) => `${prefix}${round}`).filter(
      (name) => !text.includes(`  db_${name}:\n`),
    ),
  );
  assert.deepEqual(lost, []);
  assert.deepEqual(await readdir(folder), ["deploy.yml"]);
});

test("the lock of a process that died is taken over", async (t) => {
  const folder = await folderOf(t);
  const file = join(folder, "deploy.yml");
  await writeFile(file, original);
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  await writeFile(
    join(folder, ".deploy.yml.kamal-postgres-backup.lock"),
    `${dead} ${hostname()} x`,
  );
  await create(blockOf(file, "shop"));
  assert.match(await readFile(file, "utf8"), /db_shop/);
  assert.deepEqual(await readdir(folder), ["deploy.yml"]);
});

test("the file behind a symbolic link is written, and the link stays", async (t) => {
  const folder = await folderOf(t);
  await mkdir(join(folder, "shared"));
  const behind = join(folder, "shared/deploy.production.yml");
  await writeFile(behind, original);
  const file = join(folder, "deploy.yml");
  await symlink("shared/deploy.production.yml", file);
  await create(blockOf(file, "shop"));
  assert.ok((await lstat(file)).isSymbolicLink());
  assert.match(await readFile(behind, "utf8"), /db_shop/);
  await remove("", blockOf(file, "shop"));
  assert.equal(await readFile(behind, "utf8"), original);
  assert.ok((await lstat(file)).isSymbolicLink());
});

test("a secrets file behind a link is written 0600, even one that is not there yet, and never removed", async (t) => {
  const folder = await folderOf(t);
  const file = join(folder, "secrets");
  const behind = join(folder, "private/secrets");
  await symlink("private/secrets", file);
  await create(secretsOf(file));
  assert.ok((await lstat(file)).isSymbolicLink());
  assert.match(await readFile(behind, "utf8"), /DB_BACKUP_KEY='x'/);
  assert.equal((await lstat(behind)).mode & 0o777, 0o600);
  await remove("", secretsOf(file));
  assert.equal(await readFile(behind, "utf8"), "");
});

const hookOf = (folder: string) => ({
  ...{ name: "shop", under: "hook" as const, key: "", confidential: false },
  file: join(folder, ".kamal/hooks/pre-deploy"),
  block: "true\n",
  beside: join(folder, "deploy.yml"),
});

test("a hook that is not there is made as a program, and goes with the block", async (t) => {
  const folder = await folderOf(t);
  const hook = hookOf(folder);
  const { id } = await create(hook);
  assert.equal((await lstat(hook.file)).mode & 0o777, 0o755);
  assert.match(await readFile(hook.file, "utf8"), /^#!\/bin\/sh\n# >>> .*\ntrue\n# <<< .*\n$/);
  assert.equal(spawnSync(hook.file).status, 0);
  await remove(String(id), hook);
  assert.deepEqual(await readdir(join(folder, ".kamal/hooks")), []);
});

test("somebody's own hook becomes a program and stays when the block goes", async (t) => {
  const folder = await folderOf(t);
  const hook = hookOf(folder);
  await mkdir(join(folder, ".kamal/hooks"), { recursive: true });
  const own = "#!/bin/sh\necho mine\n";
  await writeFile(hook.file, own, { mode: 0o640 });
  await create(hook);
  assert.equal((await lstat(hook.file)).mode & 0o777, 0o751);
  await remove("", hook);
  assert.equal(await readFile(hook.file, "utf8"), own);
});

test("a hook that is gone is drift where the application is, and not known where it is not", async (t) => {
  const folder = await folderOf(t);
  const hook = hookOf(folder);
  const { id } = await create(hook);
  const notHere = await read(String(id), hook);
  assert.equal(notHere.id, id);
  assert.match(JSON.stringify(notHere.props), /deploy\.yml is not here/);
  await writeFile(hook.beside, original);
  assert.equal((await read(String(id), hook)).props?.block, "true\n");
  await rm(hook.file);
  assert.equal((await read(String(id), hook)).id, "");
});

test("a file in another encoding than UTF-8 is refused, and stays byte for byte", async (t) => {
  const folder = await folderOf(t);
  const hook = hookOf(folder);
  await mkdir(join(folder, ".kamal/hooks"), { recursive: true });
  const own = Buffer.from("#!/bin/sh\n# f\u00fcr alle\necho mine\n", "latin1");
  await writeFile(hook.file, own);
  await assert.rejects(create(hook), /pre-deploy is not written in UTF-8, so nothing can be added/);
  assert.deepEqual(await readFile(hook.file), own);
});
