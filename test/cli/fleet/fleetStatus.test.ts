import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { printApplications } from "../../../cli/fleet/fleetStatus.ts";
import { judge } from "../../../cli/fleet/judge.ts";
import { width } from "../../../cli/terminal/render.ts";
import type { Screen } from "../../../cli/terminal/screen.ts";
import { outputs } from "../support/factories.ts";
import { Outside, printed } from "../support/run.ts";
import { lookedOf, NOW, storedOf } from "./factories.ts";

/** A state that publishes a backup, and holds no key of its bucket. */
const STATE = {
  deployment: { resources: [{ type: "pulumi:pulumi:Stack", outputs: { backup: outputs } }] },
};

test("status --all: a stack that cannot be read is a row with its sentence, and never green", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("stacks", { out: '[{"name":"production"},{"name":"staging"}]' });
  await outside.answer("state", { out: JSON.stringify(STATE) });
  const keyless = await outside.run(["status", "--all"]);
  assert.equal(keyless.code, 1);
  assert.match(
    keyless.stdout,
    /\n {2}shop production {3}\? .*\n {4}the stack's state holds no key/,
  );
  assert.match(keyless.stdout, /\n2 applications, 2 could not be read\n/);
  assert.match(keyless.stdout, /\nNot checked: containers and the cloud's settings/);
  await outside.answer("state", { err: "error: incorrect passphrase\n", code: 255 });
  const unread = await outside.run(["status", "--all", "--json"]);
  assert.equal(unread.code, 1);
  const { applications, unknown, notChecked } = JSON.parse(unread.stdout);
  assert.deepEqual([applications.length, unknown], [2, 2]);
  assert.match(applications[0].error, /incorrect passphrase.*PULUMI_CONFIG_PASSPHRASE/);
  assert.equal(applications[0].state, "unknown");
  assert.match(notChecked, /containers/);
  const exports = (await outside.calls("pulumi")).filter(([, what]) => what === "export");
  assert.deepEqual(exports.map((words) => words[words.indexOf("--stack") + 1]).toSorted(), [
    "production",
    "production",
    "staging",
    "staging",
  ]);
  assert.equal(exports.length, 4, "one run of Pulumi for each stack");
});

test("status --all: a stack without a backup, and what contradicts itself", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("stacks", { out: "[]" });
  const none = await outside.run(["status", "--all"]);
  assert.match(
    none.stderr,
    /^error: the project in .* has no stack yet\. Make one: pulumi stack init\.\n/,
  );
  await outside.answer("stacks", { out: '[{"name":"new"}]' });
  await outside.answer("state", { out: '{"deployment":{}}' });
  const empty = await outside.run(["status", "--all"]);
  assert.match(empty.stdout, /new .*\n.*publishes no backup \(outputs: none\)\. Run pulumi up/);
  assert.equal(empty.code, 1);
  const rows: [string[], RegExp][] = [
    [["--stack", "a", "status", "--all"], /--stack a: --all names the stacks already/],
    [["--outputs", "o.json", "status", "--all"], /--outputs: saved outputs hold no key/],
    [
      ["status", "--stacks", "none.txt"],
      /--stacks none\.txt cannot be read: there is no such file\./,
    ],
    [
      ["status", "--all", "--html", "no/such/x.html"],
      /--html no\/such\/x\.html cannot be written: there is no such folder/,
    ],
  ];
  for (const [args, sentence] of rows) {
    const { code, stderr } = await outside.run(args);
    assert.match(stderr, sentence);
    assert.equal(code, 1);
  }
  await writeFile(join(outside.folder, "none.txt"), "# nothing\n");
  assert.match((await outside.run(["status", "--stacks", "none.txt"])).stderr, /names no stack/);
});

test("the table fits 60, 80 and 120 columns: what is needed least gives way, and no name is cut", () => {
  const long = "a_database_with_a_long_name_production";
  const applications = [
    lookedOf(),
    lookedOf({ databases: [storedOf(3, { database: long }), storedOf(0)], pending: 1 }),
    lookedOf({ lock: { mode: "GOVERNANCE", days: 30 }, databases: [storedOf(30)] }),
  ].map((one) => judge(one, NOW));
  const print = (screen: Screen) => printApplications(screen, applications, NOW);
  for (const columns of [60, 80, 120]) {
    const lines = printed(print, columns);
    for (const line of lines) assert.ok(width(line) <= columns, `${columns}: ${line}`);
    const text = lines.join("\n");
    assert.ok(text.includes(long));
    assert.match(text, /LATE/);
    assert.match(text.replace(/\s+/g, " "), /an update was cut off: pulumi up/);
  }
  const wide = printed(print).join("\n");
  assert.match(
    wide,
    /^ {2}application +database +state +newest +age +RPO +drill +trend +kept +lock/,
  );
  assert.match(wide, /30 d governance/);
});

test("status --html: the page of the selected stack, in the place of the old one", async (t) => {
  const outside = await Outside.open(t);
  await outside.answer("state", { out: JSON.stringify(STATE) });
  await writeFile(join(outside.folder, "page.html"), "old");
  const { code, stdout } = await outside.run(["status", "--html", "page.html"]);
  assert.equal(code, 1);
  assert.match(stdout, /\nWrote page\.html\.\n$/);
  const page = await readFile(join(outside.folder, "page.html"), "utf8");
  assert.match(page, /^<!DOCTYPE html>\n/);
  assert.match(page, /<h2 id="application-0">shop /);
  await assert.rejects(readFile(join(outside.folder, "page.html.new")), /ENOENT/);
});
