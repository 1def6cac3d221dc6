import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { check, create } from "../../../components/internal/markedBlock.ts";

/** What is said at preview of a file that cannot be written. */
function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "kpb-check-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

const block = { name: "shop", block: "DB_BACKUP_KEY='x'\n", key: "" } as const;

test("an accessory of that name in deploy.yml that is not ours", async (t) => {
  const file = join(folder(t), "deploy.yml");
  writeFileSync(file, "service: shop\naccessories:\n  db_backup:\n    image: theirs\n");
  const inputs = { ...block, file, under: "accessories", key: "db_backup", confidential: false };
  const { failures = [] } = await check(undefined, { ...inputs, under: "accessories" });
  assert.deepEqual(
    failures.map(({ property }) => property),
    ["file"],
  );
  assert.match(failures[0]?.reason ?? "", /db_backup.*not written by kamal-postgres-backup/);
});

test("a block of that name with another accessory in it is another stack's, unless it was this one's before", async (t) => {
  const file = join(folder(t), "deploy.yml");
  writeFileSync(file, "service: shop\naccessories:\n  db:\n    image: postgres:17\n");
  const inputs = (key: string, name = "backup") =>
    ({
      file,
      name,
      under: "accessories",
      key,
      confidential: false,
      block: `  ${key}:\n    image: x\n`,
    }) as const;
  await create(inputs("db_one"));
  const checked = async (olds: Parameters<typeof check>[0], key: string, name?: string) =>
    (await check(olds, inputs(key, name))).failures?.[0]?.reason;
  for (const none of [undefined, {}]) {
    assert.match(
      (await checked(none, "db_two")) ?? "",
      /^a backup called "backup" is already there as accessories\.db_one, and this one is accessories\.db_two\./,
    );
    assert.equal(await checked(none, "db_one"), undefined, "a state that was lost");
    assert.equal(await checked(none, "db_two", "other"), undefined);
  }
  assert.equal(await checked(inputs("db_one"), "db_two"), undefined, "its key was changed");
});

test("a secrets file that git tracks: refused at preview and at up, and not written", async (t) => {
  const dir = folder(t);
  const file = join(dir, "secrets");
  writeFileSync(file, "");
  const inputs = { ...block, file, under: "", confidential: true } as const;
  assert.deepEqual((await check(undefined, inputs)).failures ?? [], []);
  execFileSync("git", ["init", "--quiet"], { cwd: dir });
  assert.deepEqual((await check(undefined, inputs)).failures ?? [], []);
  execFileSync("git", ["add", "secrets"], { cwd: dir });
  const { failures = [] } = await check(undefined, inputs);
  assert.match(failures[0]?.reason ?? "", /secrets is tracked by git/);
  await assert.rejects(create(inputs), /secrets is tracked by git/);
  assert.equal(readFileSync(file, "utf8"), "");
});

test("a link to a secrets file that git tracks is refused as well", async (t) => {
  const [dir, outside] = [folder(t), folder(t)];
  writeFileSync(join(dir, "secrets"), "");
  execFileSync("git", ["init", "--quiet"], { cwd: dir });
  execFileSync("git", ["add", "secrets"], { cwd: dir });
  const file = join(outside, "secrets");
  symlinkSync(join(dir, "secrets"), file);
  const { failures = [] } = await check(undefined, {
    ...block,
    ...{ file, under: "", confidential: true },
  });
  assert.match(failures[0]?.reason ?? "", /secrets is tracked by git/);
});

test("a secret's name that another backup has in the file is refused, at preview and at up; one's own is not", async (t) => {
  const file = join(folder(t), "secrets-common");
  const inputs = { ...block, file, under: "", confidential: true } as const;
  await create(inputs);
  const other = { ...inputs, name: "blog" };
  const sentence =
    /DB_BACKUP_KEY is already there \(line 2\), in the block of another backup, "shop"/;
  const { failures = [] } = await check(undefined, other);
  assert.match(failures[0]?.reason ?? "", sentence);
  await assert.rejects(create(other), sentence);
  assert.deepEqual((await check(undefined, inputs)).failures ?? [], []);
  await create(inputs);
});
