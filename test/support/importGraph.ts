import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Who imports whom: each node with those that it imports, in order. */
export type Graph = ReadonlyMap<string, readonly string[]>;

const SPECIFIER = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g;

/** The files of the checkout that a file imports by relative path; imports of types count. */
export function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(SPECIFIER)].map(([, path = ""]) => normalize(join(dirname(file), path)));
}

/** The folders of the checkout that hold TypeScript, as tsconfig.json lists them. */
export function topRooms(): string[] {
  return JSON.parse(readFileSync("tsconfig.json", "utf8")).include;
}

/** Files of these rooms, and what each imports, whichever room that is in. */
export function filesGraph(rooms: readonly string[]): Graph {
  const files = rooms.flatMap((room) => globSync(`${room}/**/*.ts`)).toSorted();
  return new Map(files.map((file) => [file, [...new Set(importsOf(file))].toSorted()]));
}

/** The rooms of the top level; a room that imports itself only has no arrow. */
export function roomsGraph(rooms: readonly string[] = topRooms()): Graph {
  return contract(filesGraph(rooms), (file) => file.split("/")[0]);
}

/** Within one room: its sub-rooms, and its own files by their names. Imports that leave the room are left out. */
export function subRoomsGraph(room: string): Graph {
  return contract(filesGraph([room]), (file) =>
    file.startsWith(`${room}/`) ? file.slice(room.length + 1).split("/")[0] : undefined,
  );
}

function contract(graph: Graph, nodeOf: (file: string) => string | undefined): Graph {
  const merged = new Map<string, Set<string>>();
  for (const [file, targets] of graph) {
    const from = nodeOf(file);
    if (from === undefined) continue;
    const arrows = merged.get(from) ?? new Set<string>();
    merged.set(from, arrows);
    for (const to of targets.map(nodeOf)) {
      if (to !== undefined && to !== from) arrows.add(to);
    }
  }
  const nodes = [...merged].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return new Map(nodes.map(([node, arrows]) => [node, [...arrows].toSorted()]));
}

/** `from --> to`, an arrow a line, as mermaid writes it. */
export function arrowsOf(graph: Graph): string[] {
  return [...graph].flatMap(([from, targets]) => targets.map((to) => `${from} --> ${to}`));
}

/**
 * Groups of nodes that reach each other (Tarjan's strongly connected components), each group in order.
 * @returns nothing when the graph has no circle
 */
export function circlesOf(graph: Graph): string[][] {
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];

  const visit = (node: string): number => {
    const own = index.size;
    index.set(node, own);
    stack.push(node);
    let low = own;
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) low = Math.min(low, visit(next));
      else if (stack.includes(next))
        low = Math.min(low, lowest.get(next) ?? index.get(next) ?? own);
    }
    lowest.set(node, low);
    if (low === own) {
      const group = stack.splice(stack.indexOf(node));
      if (group.length > 1) circles.push(group.toSorted());
    }
    return low;
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return circles;
}
