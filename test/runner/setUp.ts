/** What world tests need of the machine: brought while unit tests, which need Node and the packages alone, run already. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { stateFolder } from "../../sandbox/world/paths.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
const PARTS = "pulumi,seaweedfs,system,kamal,docker";

/**
 * Runs `scripts/setup` for all but Node and the packages, and takes the programs that it brought into this process's `PATH`.
 * Its lines go to standard error.
 * @returns whether everything is there
 */
export async function setUp(): Promise<boolean> {
  const child = spawn(join(CHECKOUT, "scripts/setup"), ["--only", PARTS], {
    stdio: ["ignore", 2, 2],
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) return false;
  const script = '. scripts/env && printf %s "$PATH"';
  const { stdout } = await promisify(execFile)("sh", ["-c", script], { cwd: CHECKOUT });
  process.env["PATH"] = stdout;
  return true;
}

/** The environment of the second sandbox. */
export const SECOND = { SANDBOX_NAME: "second" } as const;

/**
 * Forgets the second sandbox of the last run, whose journeys made buckets by name: the next `up` removes what it left. With the
 * first one a journey does so.
 */
export function forgetSecondSandbox(): void {
  rmSync(stateFolder(SECOND.SANDBOX_NAME), { recursive: true, force: true });
}
