import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { compileCache } from "../../sandbox/world/run.ts";
import type { Outside, Result } from "./support.ts";

const MAIN = resolve(import.meta.dirname, "../../cli/main.ts");

/** Types a command in a process of its own, as a user does: for what only the whole program can show. */
export function spawnCommandLine(outside: Outside, args: readonly string[]): Promise<Result> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: outside.folder,
      env: { ...outside.environment(), ...compileCache },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 30_000,
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("error", failed);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}
