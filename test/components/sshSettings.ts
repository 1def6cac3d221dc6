/** What OpenSSH says of its configuration, asked once in a process of tests, which declare hundreds of backups on the same host. */
import { syncBuiltinESMExports } from "node:module";

/** Not imported: nothing that the tests cannot do without is started here (`test/runner/kinds.ts`). */
const childProcess = process.getBuiltinModule("node:child_process");
const run = childProcess.execFileSync as (...words: unknown[]) => unknown;
const answers = new Map<string, unknown>();

/** `ssh -G` of the machine's and the user's own files, which no test writes; with files of a test's own it is asked each time. */
function remembering(program: string, args: readonly string[], ...more: unknown[]) {
  if (program !== "ssh" || !args.includes("-G") || args.includes("-F")) {
    return run(program, args, ...more);
  }
  const key = JSON.stringify([process.env["PATH"], args]);
  if (!answers.has(key)) answers.set(key, run(program, args, ...more));
  return answers.get(key);
}

Object.assign(childProcess, { execFileSync: remembering });
syncBuiltinESMExports();
