import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { read } from "../../../components/internal/markedBlock.ts";
import { writeMarkedBlock } from "../../../kamal/markedBlock.ts";

/** What a refresh finds in the secrets file of an application. */
interface Row {
  readonly what: string;
  /** Absent: there is no such file. */
  readonly text?: string;
  readonly tracked?: true;
  readonly found: "as declared" | "edited" | "missing" | "not checked";
}

const BLOCK = "DB_BACKUP_KEY='x'\n";
const ours = (block: string) => writeMarkedBlock("RP='y'\n", "shop", block, undefined);

const rows: readonly Row[] = [
  { what: "the block", text: ours(BLOCK), found: "as declared" },
  { what: "another block", text: ours("DB_BACKUP_KEY='z'\n"), found: "edited" },
  { what: "other secrets and no block", text: "RP='y'\n", found: "missing" },
  { what: "one other secret beside look-ups", text: "RP=$RP\nKEY=y\n", found: "missing" },
  { what: "nothing", text: "", found: "missing" },
  { what: "comments", text: "# here come the secrets\n", found: "missing" },
  { what: "no file", found: "not checked" },
  { what: "look-ups of the environment", text: "RP=$RP\n", found: "not checked" },
  {
    what: "Kamal's own template",
    text: '# Read by Kamal\nRP="${RP}"\nKEY=$(cat config/master.key)\n',
    found: "not checked",
  },
  { what: "a file that git carries", text: "RP='y'\n", tracked: true, found: "not checked" },
];

function put(t: TestContext, { text, tracked }: Row): string {
  const dir = mkdtempSync(join(tmpdir(), "kpb-read-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "secrets");
  if (text !== undefined) writeFileSync(file, text);
  if (tracked) {
    execFileSync("git", ["init", "--quiet"], { cwd: dir });
    execFileSync("git", ["add", "secrets"], { cwd: dir });
  }
  return file;
}

for (const row of rows) {
  test(`a secrets file with ${row.what}: ${row.found}`, async (t) => {
    const file = put(t, row);
    const declared = { file, name: "shop", under: "", key: "", block: BLOCK, confidential: true };
    // As an earlier refresh has left it in the state.
    const stored = { ...declared, notChecked: "of another time" } as const;
    const result = await read("id", stored as never);
    const { notChecked, ...props } = (result.props ?? {}) as Record<string, unknown>;
    const found =
      result.id === ""
        ? "missing"
        : notChecked !== undefined
          ? "not checked"
          : props["block"] === BLOCK
            ? "as declared"
            : "edited";
    assert.equal(found, row.found);
    if (found !== "not checked") return;
    assert.match(
      String(notChecked),
      /secrets is (not here|one without secrets, as in a fresh clone)$/,
    );
    assert.deepEqual(props, declared, "what the state holds stays");
    assert.equal((result as { inputs?: unknown }).inputs, undefined, "so that it is no difference");
  });
}

test("a deploy.yml that is not here is not checked; one without the block has drifted", async (t) => {
  const file = put(t, { what: "", found: "not checked" });
  const declared = { file, name: "shop", under: "accessories", key: "db_backup" } as const;
  const stored = { ...declared, block: "  db_backup:\n    image: x\n", confidential: false };
  const absent = (await read("id", stored)).props as { notChecked?: string };
  assert.equal(absent.notChecked, `${file} is not here`);
  writeFileSync(file, "service: shop\n");
  assert.equal((await read("id", stored)).id, "");
});
