import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { stateDir } from "./paths.ts";

const lockFile = join(stateDir, "lock");
const patienceMs = 10 * 60_000;

/** Lets one `up` or `down` work at a time in this checkout; a lock whose process is gone does not count. */
export async function withLock<T>(work: () => Promise<T>, log: (line: string) => void): Promise<T> {
  mkdirSync(stateDir, { recursive: true });
  const deadline = Date.now() + patienceMs;
  let announced = false;
  while (!tryLock()) {
    if (Date.now() > deadline) {
      throw new Problem(
        `Another 'sandbox up' or 'down' holds ${lockFile} for ten minutes: end it.`,
      );
    }
    if (!announced) log("waiting for another 'sandbox up' or 'down' to finish");
    announced = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

function tryLock(): boolean {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (!holderLives()) rmSync(lockFile, { force: true });
  return false;
}

function holderLives(): boolean {
  try {
    const pid = Number(readFileSync(lockFile, "utf8"));
    // A file just made is still empty for an instant.
    if (!Number.isInteger(pid) || pid <= 0) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
