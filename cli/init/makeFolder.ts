import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder with those above it that are missing. `mkdir` with `recursive` of Node 24 tries for ever below `/proc`,
 * where a folder can be made at no time and the answer is "no such file" although the one above is there.
 * @param path absolute
 * @throws the system's error
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}
