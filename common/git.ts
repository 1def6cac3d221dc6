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

/** Whether git leaves a file out, there or not; undefined outside a repository, or where there is no git. */
export async function isIgnoredByGit(file: string): Promise<boolean | undefined> {
  try {
    await promisify(execFile)("git", ["check-ignore", "--quiet", file], { cwd: dirname(file) });
    return true;
  } catch (error) {
    // 1: it is not ignored. 128: this is no repository.
    return (error as { code?: unknown }).code === 1 ? false : undefined;
  }
}
