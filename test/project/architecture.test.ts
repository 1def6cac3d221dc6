import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { arrowsOf, roomsGraph, subRoomsGraph, topRooms } from "../support/importGraph.ts";

const PAGE = "docs/architecture.md";
/** A diagram names what it shows in its comment: `%% rooms: .` for the top level, else a room. */
const DIAGRAM = /```mermaid\nflowchart \w+\n\s*%% rooms: (\S+)\n([\s\S]*?)```/g;

const page = readFileSync(PAGE, "utf8");
const diagrams = new Map(
  [...page.matchAll(DIAGRAM)].map(([, room = "", lines = ""]) => [
    room,
    lines
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== ""),
  ]),
);

function importsWithin(room: string): string[] {
  return arrowsOf(
    room === "." ? roomsGraph(topRooms().filter((r) => r !== "test")) : subRoomsGraph(room),
  );
}

test("the page shows the top level and each room of the product that has sub-rooms", () => {
  assert.deepEqual([...diagrams.keys()], [".", "components", "cli", "agent", "storage", "common"]);
});

for (const [room, drawn] of diagrams) {
  test(`the arrows of ${room === "." ? "the top level" : `${room}/`} are its imports`, () => {
    const real = importsWithin(room);
    const paste = `the diagram of ${room} in ${PAGE} should hold exactly:\n\n${real.map((line) => `  ${line}`).join("\n")}\n`;
    assert.deepEqual(drawn.toSorted(), real.toSorted(), paste);
  });
}

/** A path in the text: in backticks with a top room in front, or the target of a link. */
const PATHS = [
  new RegExp(`\`((?:${[...topRooms(), "docs"].join("|")})/[\\w./-]*)\``, "g"),
  /\]\((?!https?:|#)([^)\s#]+)(?:#[^)\s]*)?\)/g,
];

for (const file of globSync(["*.md", "docs/**/*.md", `{${topRooms().join(",")}}/**/README.md`])) {
  // The changelog names files as they were.
  if (file === "CHANGELOG.md") continue;
  test(`every file and folder that ${file} names is there`, () => {
    const text = readFileSync(file, "utf8");
    const named = PATHS.flatMap((pattern) =>
      [...text.matchAll(pattern)].map(([, path = ""]) => path),
    );
    assert.deepEqual(
      named.filter((path) => !existsSync(path) && !existsSync(join(dirname(file), path))),
      [],
    );
  });
}
