import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { REMARK_FILES, resultLine, STATE_FILES } from "../../../common/contracts/containerState.ts";

const IMAGE = join(import.meta.dirname, "../../../agent/image");

/** Names of state files in a script; where a variable stands for the bucket, each of them. */
function filesIn(script: string): Set<string> {
  const text = readFileSync(join(IMAGE, script), "utf8");
  const names = [...text.matchAll(/\$state\/([\w.$]+)/g)].map(([, name]) => name as string);
  return new Set(
    names
      .map((name) => name.replace(/\.new$/, ""))
      .flatMap((name) => {
        const variable = /\$(\w+)$/.exec(name)?.[1];
        if (variable === undefined) return [name];
        const values = new RegExp(`^ *for ${variable} in (.*); do$`, "m").exec(text)?.[1];
        assert(values, `${script}: nothing says what $${variable} is`);
        return values.split(" ").map((value) => name.replace(`$${variable}`, value));
      }),
  );
}

test("the scripts of the image know the state files by the names of the contract", () => {
  const { scheduler, result, fault, missed, wal } = STATE_FILES;
  const remarks = Object.values(REMARK_FILES);
  assert.deepEqual(filesIn("agent-health"), new Set([scheduler, result, ...remarks, fault, wal]));
  assert.deepEqual(filesIn("run.sh"), new Set([scheduler, result, missed, wal]));
});

test("the health check reads the line of a result", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const now = new Date();
  const health = (failure?: string) => {
    writeFileSync(join(folder, STATE_FILES.scheduler), `waiting ${now.getTime()}\n`);
    writeFileSync(join(folder, STATE_FILES.result), `${resultLine(now, failure)}\n`);
    writeFileSync(join(folder, REMARK_FILES.copy), "old copies stay\n");
    const env = { ...process.env, AGENT_STATE_DIR: folder };
    return spawnSync("sh", [join(IMAGE, "agent-health")], { env, encoding: "utf8" });
  };
  const good = health();
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /^waiting; the last backup succeeded \d+ s ago; old copies stay\n$/);
  const bad = health("the bucket is gone.\nand more");
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /^broken: the last backup failed \d+ s ago: the bucket is gone\.\n$/);
});
