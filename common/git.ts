import { execFile } from "node:child_process";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";

/** Whether git tracks a file, so that what is written to it reaches whoever has the repository. False where there is no git. */
export async function isTrackedByGit(file: string): Promise<boolean> {
  try {
    await promisify(execFile)("git", ["ls-files", "--error-unmatch", basename(file)], {
      cwd: dirname(file),
    });
    return true;
  } catch {
    // Not tracked, not in a repository, or no git here.
    return false;
  }
}
