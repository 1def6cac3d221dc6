/**
 * Every fenced block of README.md, docs/, examples/ and CONTRIBUTING.md is checked here, or has a comment above it: it is
 * run by a test that reads the page (`<!-- run by test/... -->`), stands in a file line by line (`<!-- lines of ... -->`),
 * or neither, for a reason (`<!-- not run: ... -->`).
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { SETTINGS, type Setting } from "../../../stacks/settings.ts";
import { COMMANDS, faultOfLine } from "./commandLines.ts";
import { type Block, blocksOf, PAGES } from "./markdown.ts";

/** Languages of blocks that somebody types. */
const SHELL = ["", "sh"];

for (const page of PAGES) {
  const blocks = blocksOf(page);
  if (blocks.length === 0) continue;
  test(`every block of ${page} is run or checked, or says why not`, () => {
    const faults = blocks.flatMap((block) => {
      const fault = faultOf(block);
      return fault === undefined ? [] : [`${page}:${block.line}: ${fault}`];
    });
    assert.deepEqual(faults, []);
  });
}

function faultOf(block: Block): string | undefined {
  const { remark = "" } = block;
  if (/^not run: \S/.test(remark)) {
    const missing = (remark.match(/test\/[\w./]*\w/g) ?? []).find((path) => !existsSync(path));
    if (missing !== undefined) return `there is no ${missing}`;
    // What nobody runs is a command of the product all the same.
    const own = block.lines.filter((line) => /^\s*(?:npx|npm|pulumi) /.test(line));
    return SHELL.includes(block.language)
      ? messageOf(() => checkShell({ ...block, lines: own }))
      : undefined;
  }
  const runner = /^run by (\S+)$/.exec(remark)?.[1];
  if (runner !== undefined) return includes(runner, block.page, `${runner} does not read the page`);
  const source = /^lines of (\S+)$/.exec(remark)?.[1];
  if (source !== undefined) {
    const text = readFileSync(source, "utf8");
    const missing = contentOf(block).find((line) => !text.includes(line));
    return missing === undefined ? undefined : `${source} has no line ${missing}`;
  }
  const check = CHECKS[block.language];
  return check === undefined
    ? `nothing checks a block in ${block.language}`
    : messageOf(() => check(block));
}

function includes(file: string, text: string, fault: string): string | undefined {
  return readFileSync(file, "utf8").includes(text) ? undefined : fault;
}

/** A check's fault, or what it throws. */
function messageOf(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    return (error as Error).message;
  }
}

const CHECKS: Readonly<Record<string, (block: Block) => string | undefined>> = {
  "": checkShell,
  sh: checkShell,
  ts: checkTypeScript,
  yaml: checkYaml,
  json: (block) => void JSON.parse(block.lines.join("\n")),
  // Those of the rooms are compared with the imports in test/project/architecture.test.ts.
  mermaid: ({ lines }) =>
    lines.some((line) => line.includes("%% rooms: ")) ? undefined : "give a reason in a comment",
};

function contentOf({ lines }: Block): string[] {
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

function checkShell(block: Block): string | undefined {
  for (const line of contentOf(block)) {
    const fault = faultOfLine(line);
    if (fault !== undefined) return `${line}: ${fault}`;
  }
  return undefined;
}

const examples = globSync("examples/*.ts").map((file) =>
  readFileSync(file, "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n"),
);

/** The examples are type-checked and declared by `examples.test.ts`. */
function checkTypeScript(block: Block): string | undefined {
  const text = contentOf(block).join("\n");
  return examples.some((example) => example.includes(text))
    ? undefined
    : "its lines stand in no file of examples/";
}

const TYPES: Readonly<Record<Setting["type"], (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  secret: (value) => typeof value === "string",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  object: (value) => typeof value === "object",
  "secret object": (value) => typeof value === "object",
};

/** A file of a stack, or a part of the project's own. */
function checkYaml(block: Block): string | undefined {
  const { config, ...project } = parse(block.lines.join("\n"));
  const own = parse(readFileSync("Pulumi.yaml", "utf8"));
  for (const [name, value] of Object.entries(project)) {
    if (JSON.stringify(own[name]) !== JSON.stringify(value))
      return `${name} is not as in Pulumi.yaml`;
  }
  const settings: readonly Setting[] = SETTINGS;
  for (const [key, value] of Object.entries(config ?? {})) {
    if (key === "aws:region") continue;
    const setting = settings.find(({ name }) => key === `kamal-postgres-backup:${name}`);
    if (setting === undefined) return `no setting ${key}`;
    if (!TYPES[setting.type](value)) return `${key} is a ${setting.type}`;
  }
  return undefined;
}

test("a block of commands is run by a test, or says why not", (t) => {
  const blocks = PAGES.flatMap((page) => blocksOf(page)).filter(({ language }) =>
    SHELL.includes(language),
  );
  const run = blocks.filter(({ remark = "" }) => /^(?:run by|lines of) /.test(remark));
  const silent = blocks.filter(({ remark }) => remark === undefined);
  t.diagnostic(`${blocks.length} blocks of commands: ${run.length} run`);
  assert.ok(run.length >= 10, String(run.length));
  const places = silent.map(({ page, line }) => `${page}:${line}`);
  assert.deepEqual(places, [], "write <!-- run by TEST --> above it, or <!-- not run: REASON -->");
});

test("the picture in README.md shows commands that exist, and how they ended", () => {
  const picture = readFileSync("docs/images/terminal.svg", "utf8");
  const typed = [...picture.matchAll(/>\$ (npx [^<]*)</g)].map(([, line = ""]) => line);
  assert.deepEqual(
    typed.map((line) => [line, faultOfLine(line)]),
    typed.map((line) => [line, undefined]),
  );
  assert.ok(typed.length >= 2);
  for (const end of [/\d+ created/, / backup: |>Backed up</, />Restored</])
    assert.match(picture, end);
});

test("the examples of a stack's file name known settings, and give each a value of its type", () => {
  for (const page of globSync("stacks/*.example.yaml")) {
    const text = readFileSync(page, "utf8");
    const asked = text.matchAll(/(?:#|^) *(kamal-postgres-backup:\w+: \S.*)$/gm);
    const commented = [...asked].map(([, line = ""]) => ["config:", `  ${line}`]);
    for (const lines of [text.split("\n"), ...commented]) {
      const block = { page, line: 1, language: "yaml", remark: undefined, lines };
      assert.equal(checkYaml(block), undefined, `${page}: ${lines.at(-1)}`);
    }
    for (const [, line = ""] of text.matchAll(/# +(pulumi .*)$/gm)) {
      assert.equal(faultOfLine(line.replace(/ https:.*/, "")), undefined, `${page}: ${line}`);
    }
  }
});

test("docs/commands.md has a row for every command", () => {
  const page = readFileSync("docs/commands.md", "utf8");
  const rows = [...page.matchAll(/^\| `npx kamal-postgres-backup ([\w-]+)/gm)];
  assert.deepEqual(rows.map(([, name]) => name).toSorted(), COMMANDS.toSorted());
});

test("what a page gets wrong is found", () => {
  const block = (language: string, ...lines: string[]): Block => {
    return { page: "README.md", line: 1, language, remark: undefined, lines };
  };
  const wrong: readonly [Block, RegExp][] = [
    [block("", "npx kamal-postgres-backup lst"), /unknown command 'lst'/],
    [block("", "npx kamal-postgres-backup restore latest --identiti x"), /unknown option/],
    [block("", "npx kamal-postgres-backup undo"), /missing required argument 'name'/],
    [block("", "npm run sandbx up"), /no script sandbx/],
    [block("", "npm run -s sandbox -- cli lst"), /unknown command 'lst'/],
    [block("", "pulumi config set --secret databasPassword"), /no setting databasPassword/],
    [block("", "pulumi upp"), /no command of Pulumi/],
    [block("", "rm -rf backup"), /nothing here checks/],
    [block("ts", "const backup = new PostgresBackups();"), /in no file of examples/],
    [block("yaml", "config:", "  kamal-postgres-backup:databse: a"), /no setting/],
    [block("yaml", "config:", "  kamal-postgres-backup:retentionDays: a"), /is a integer/],
    [block("json", "{"), /JSON/],
    [block("text", "some output"), /nothing checks/],
    [{ ...block("", "x"), remark: "run by test/project/rooms.test.ts" }, /does not read the page/],
    [{ ...block("", "no such line"), remark: "lines of package.json" }, /has no line no such line/],
    [{ ...block("", "x"), remark: "not run:" }, /nothing here checks/],
    [{ ...block("", "pulumi upp"), remark: "not run: a reason" }, /no command of Pulumi/],
    [{ ...block("", "x"), remark: "not run: test/no/such.test.ts has it" }, /there is no test/],
  ];
  for (const [given, fault] of wrong) assert.match(faultOf(given) ?? "", fault);
});
