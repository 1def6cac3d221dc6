import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import {
  circlesOf,
  filesGraph,
  importsOf,
  subRoomsGraph,
  topRooms,
} from "../support/importGraph.ts";

const ROOMS: Record<string, readonly string[]> = {
  common: [],
  kamal: ["common"],
  storage: ["common"],
  agent: ["storage", "common"],
  cli: ["kamal", "storage", "common"],
  components: ["kamal", "storage", "common"],
  stacks: ["components"],
};

/** What a user runs. Those that only work on this repository, `sandbox/` and `test/`, may import all of them. */
const PRODUCT = Object.keys(ROOMS);

/** Folders with TypeScript in them or below them; folders of data, such as fixtures and images, are none. */
const FOLDERS = [
  ...new Set(topRooms().flatMap((room) => globSync(`${room}/**/*.ts`).flatMap(foldersOf))),
];

function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === "." ? [] : [folder, ...foldersOf(folder)];
}

for (const [room, allowed] of Object.entries(ROOMS)) {
  test(`${room}/ imports only from ${["itself", ...allowed].join(", ")}`, () => {
    const wrong = globSync(`${room}/**/*.ts`).flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const other = target.split("/")[0] as string;
          return other !== room && !allowed.includes(other);
        })
        .map((target) => `${file} -> ${target}`),
    );
    assert.deepEqual(wrong, []);
  });
}

test("CONTRIBUTING states the same rules", () => {
  const page = readFileSync("CONTRIBUTING.md", "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)\/` \|.*\| (.+) \|$/gm)];
  const stated = rows.map(
    ([, room = "", may = ""]) => [room, may === "nothing" ? [] : may.split(", ")] as const,
  );
  const rules = Object.entries(ROOMS).map(([room, allowed]) => [room, allowed.toSorted()] as const);
  assert.deepEqual(
    Object.fromEntries(
      stated.filter(([room]) => room in ROOMS).map(([room, may]) => [room, may.toSorted()]),
    ),
    Object.fromEntries(rules),
  );
});

test("no file of the product imports itself by way of others; imports of types count", () => {
  assert.deepEqual(circlesOf(filesGraph(PRODUCT)), []);
});

test("no circle among the sub-rooms of a room", () => {
  const wrong = FOLDERS.flatMap((folder) =>
    circlesOf(subRoomsGraph(folder)).map((circle) => `${folder}: ${circle.join(", ")}`),
  );
  assert.deepEqual(wrong, []);
});

test("a room holds at most 15 files and sub-rooms, one of the product at least 5", () => {
  const wrong = FOLDERS.flatMap((folder) => {
    const entries = readdirSync(folder).length;
    const [room = ""] = folder.split("/");
    const atLeast = PRODUCT.includes(room) ? 5 : 1;
    return entries > 15 || entries < atLeast ? [`${folder}: ${entries}`] : [];
  });
  assert.deepEqual(wrong, []);
});

test(".nvmrc names the Node that scripts/setup brings, and package.json takes it", () => {
  const pinned = readFileSync(".nvmrc", "utf8").trim();
  assert.match(readFileSync("scripts/env", "utf8"), new RegExp(`/node-${pinned}/`));
  const { engines } = JSON.parse(readFileSync("package.json", "utf8"));
  const least: string = engines.node.replace(">=", "");
  assert.ok(least.localeCompare(pinned, undefined, { numeric: true }) <= 0, engines.node);
});

test("the rooms that know no Pulumi import none", () => {
  const wrong = ["common", "kamal", "storage", "agent"].flatMap((room) =>
    globSync(`${room}/**/*.ts`).filter((file) => readFileSync(file, "utf8").includes('"@pulumi/')),
  );
  assert.deepEqual(wrong, []);
});

test("@pulumi/command is the 1.x line: 4.5.0 on npm is an old build with a wrong number", () => {
  const manifest = JSON.parse(readFileSync("node_modules/@pulumi/command/package.json", "utf8"));
  assert.equal(manifest.version, "1.2.1");
});
