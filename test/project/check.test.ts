import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

for (const [what, command] of Object.entries({
  "the types hold": ["tsc"],
  "format and lint are clean": ["biome", "check", "."],
})) {
  test(what, () => {
    const result = spawnSync(join("node_modules", ".bin", command[0] as string), command.slice(1), {
      encoding: "utf8",
    });
    assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`);
  });
}
