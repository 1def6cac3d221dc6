/** What world tests need of the machine: brought while unit tests, which need Node and the packages alone, run already. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";

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
