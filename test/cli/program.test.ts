import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { EXIT, EXIT_TABLE } from "../../cli/terminal/exitCodes.ts";
import { entryOf, hoursAgo } from "./support/factories.ts";
import { Outside } from "./support/run.ts";

/** Those that `--help` lists, so that a new one is among them. */
async function commandsOf(outside: Outside): Promise<string[]> {
  const { stdout } = await outside.run(["--help"]);
  const [, list = ""] = /\nCommands:\n(.*?)\n\n/s.exec(stdout) ?? [];
  const names = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = ""]) => name);
  return names.filter((name) => name !== "help");
}

/** What a command needs besides its name. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  clone: ["--into", "staging"],
  notify: ["--test"],
  completion: ["bash"],
  recover: ["--left", "all", "--yes"],
  init: ["--yes"],
  restore: ["--yes"],
  undo: ["shop_production_before_20261124T102110", "--yes"],
};

/** What is said where there is neither an application nor a stack. */
const FIRST: Readonly<Record<string, RegExp>> = {
  adopt: /config\/deploy\.yml cannot be read/,
  init: /config\/deploy\.yml is not here/,
};

test("every command has examples in its help, of options that it has, in as many columns as there are", async (t) => {
  const outside = await Outside.open(t);
  const commands = await commandsOf(outside);
  assert.ok(commands.length > 10, commands.join());
  for (const command of commands) {
    outside.columns = undefined;
    const { stdout, stderr, code } = await outside.run([command, "--help"]);
    const [help = "", examples = ""] = stdout.split("\nExamples:\n");
    assert.deepEqual([code, stderr], [0, ""], command);
    assert.match(examples, /^ {2}\$ npx kamal-postgres-backup /, command);
    assert.ok(examples.includes(` ${command}`), command);
    for (const [option] of examples.matchAll(/--[a-z-]+/g)) {
      assert.ok(help.includes(option), `${command}: ${option}`);
    }
    // One that the program has too would never reach the command.
    const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name);
    assert.deepEqual(options, [...new Set(options)], command);
    assert.doesNotMatch(help, /undefined|\[".*"\]/, command);
    outside.columns = 60;
    const narrow = (await outside.run([command, "--help"])).stdout.split("\nExamples:\n")[0] ?? "";
    for (const line of narrow.split("\n")) assert.ok(line.length <= 60, `${command}: ${line}`);
  }
});

test("every command that fails exits with 1, a drill with 3, one sentence, and with --json one document", async (t) => {
  const outside = await Outside.open(t);
  const commands = await commandsOf(outside);
  await outside.answer("outputs", { err: "error: no stack named 'x' found\n", code: 6 });
  for (const command of commands) {
    // It needs nothing that could be missing.
    if (command === "completion") continue;
    // Of doctor a stack that cannot be read is the finding; test/cli/doctor/ has it.
    if (command === "doctor") continue;
    const args = [command, ...(NEEDED[command] ?? [])];
    const text = await outside.run(args);
    // Of a drill 1 would say that the backup has failed.
    const failed = command === "drill" ? 3 : 1;
    assert.deepEqual([text.code, text.stdout], [failed, ""], command);
    // It asks no stack before it has read the application.
    const found = FIRST[command] ?? /no stack named 'x' found/;
    assert.match(text.stderr, /^error: .*\n$/, command);
    assert.match(text.stderr, found, command);
    if (command === "dump") continue;
    const json = await outside.run([...args, "--json"]);
    assert.equal(json.code, failed, command);
    const document = JSON.parse(json.stdout);
    assert.deepEqual(Object.keys(document), ["error"], command);
    assert.equal(json.stderr, `error: ${document.error}\n`, command);
  }
});

test("every command refuses an option that it does not have, before anything is asked", async (t) => {
  const outside = await Outside.open(t);
  for (const command of await commandsOf(outside)) {
    const args = [command, ...(NEEDED[command] ?? [])];
    for (const wrong of [
      [...args, "--no-such-option"],
      [...args, "--host"],
    ]) {
      const { code, stdout, stderr } = await outside.run(wrong);
      assert.deepEqual([code, stdout], [64, ""], wrong.join(" "));
      assert.match(stderr, /^error: .*\n(\(Did you mean .*\n)?\(--help shows/s, wrong.join(" "));
    }
  }
  assert.deepEqual(await outside.calls("pulumi"), []);
});

test("colours are for a terminal, and NO_COLOR is obeyed", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups(entryOf(hoursAgo(1)));
  for (const [env, coloured] of [
    [{ NO_COLOR: "", FORCE_COLOR: "1" }, true],
    [{ NO_COLOR: "" }, false],
    [{ NO_COLOR: "1" }, false],
  ] as const) {
    for (const command of ["list", "status"]) {
      const { stdout } = await outside.run([command], env);
      assert.equal(stdout.includes("\u001b["), coloured, JSON.stringify(env));
    }
  }
});

test("words that people type are answered with the command that does it", async (t) => {
  const outside = await Outside.open(t);
  const rows: [string, RegExp][] = [
    ["health", /For that: status/],
    ["logs", /For that: kamal accessory logs/],
    ["export", /For that: dump > dump\.sql/],
    ["bakup", /Did you mean backup\?/],
    ["constructor", /^error: unknown command 'constructor'\n/],
  ];
  for (const [word, sentence] of rows) {
    const { code, stderr } = await outside.run([word]);
    assert.equal(code, 64);
    assert.match(stderr, sentence);
    assert.match(stderr, /\(--help shows the commands\)\n$/);
  }
});

test("the exit codes stand in the help and in docs/commands.md", async (t) => {
  const outside = await Outside.open(t);
  const { stdout } = await outside.run(["--help"]);
  const page = await readFile("docs/commands.md", "utf8");
  for (const [code, meaning] of EXIT_TABLE) {
    assert.match(stdout, new RegExp(`^ +${code}  ${meaning}$`, "m"));
    assert.ok(
      page.includes(`| ${String(code).padEnd(4)} | ${meaning}`),
      `docs/commands.md: ${code}`,
    );
  }
  assert.deepEqual(
    EXIT_TABLE.map(([code]) => code),
    Object.values(EXIT),
  );
});

test("arguments that are none are refused with the way to the help", async (t) => {
  const outside = await Outside.open(t);
  for (const args of [["bakup"], ["list", "--al"], ["undo"]]) {
    const { code, stdout, stderr } = await outside.run(args);
    assert.deepEqual([code, stdout], [64, ""], args.join(" "));
    assert.match(stderr, /^error: .*\n\(--help shows the commands\)\n$/s);
  }
  assert.match((await outside.run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await outside.run([])).code, 64);
  assert.deepEqual(await outside.calls("pulumi"), []);
});
