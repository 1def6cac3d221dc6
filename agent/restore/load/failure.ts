import { Problem } from "../../../common/problem.ts";
import { describeExit, type ExitResult } from "../../streams/process.ts";
import type { RestoreOutput } from "./pgRestoreOutput.ts";

/** Whether a message of PostgreSQL means that the server's disk is full. */
export function isFullDisk(text: string): boolean {
  return /No space left on device|could not extend file/.test(text);
}

/** How `pg_restore` failed, with advice where there is some. */
export function restoreFailure({ code, stderr }: ExitResult, output: RestoreOutput): Problem {
  const ending = { code, stderr: [output.failure(), stderr].filter(Boolean).join("\n") };
  const advice = isFullDisk(ending.stderr)
    ? " The database server's disk is full: a restore needs room for a second copy of the database. Free some space, or drop an old <database>_before_... first."
    : "";
  return new Problem(`${describeExit("pg_restore", ending)}.${advice}`);
}
