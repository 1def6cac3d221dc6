/**
 * Files that share a process, each a suite of its own: one comes after the other, and the hooks at a file's top are that
 * file's alone. `isolation: "none"` without it would run all those hooks before the first test and after the last.
 */
import { after, describe } from "node:test";
import { pathToFileURL } from "node:url";
import { closeShared, filesTogether } from "./shared.ts";

for (const file of filesTogether()) {
  describe(file, async () => {
    await import(pathToFileURL(file).href);
  });
}
after(closeShared);
