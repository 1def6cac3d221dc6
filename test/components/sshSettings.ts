/** What OpenSSH says of its configuration and its known hosts, asked once in a process of tests, which declare hundreds of backups on the same host. */
import { readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/** Not imported: nothing that the tests cannot do without is started here (`test/runner/kinds.ts`). */
const childProcess = process.getBuiltinModule("node:child_process");
const run = childProcess.execFileSync as (...words: unknown[]) => unknown;
type Answer = { readonly text: unknown } | { readonly error: unknown };
const answers = new Map<string, Answer>();

/**
 * `ssh -G` of the machine's and the user's own files, which no test writes; with files of a test's own it is asked each time.
 * `ssh-keygen -F` of a file with the same content.
 */
function remembering(program: string, args: readonly string[], ...more: unknown[]) {
  const isSettings = program === "ssh" && args.includes("-G") && !args.includes("-F");
  const [flag, name, , file = ""] = args;
  const isSearch = program === "ssh-keygen" && flag === "-F";
  if (!isSettings && !isSearch) return run(program, args, ...more);
  const question = isSearch ? [name, readFileSync(file, "utf8")] : args;
  const key = JSON.stringify([process.env["PATH"], program, question]);
  const answer = answers.get(key) ?? answerOf(program, args, more);
  answers.set(key, answer);
  if ("error" in answer) throw answer.error;
  return answer.text;
}

/** Not to know a host is an answer too, with exit code 1. */
function answerOf(program: string, args: readonly string[], more: readonly unknown[]): Answer {
  try {
    return { text: run(program, args, ...more) };
  } catch (error) {
    return { error };
  }
}

Object.assign(childProcess, { execFileSync: remembering });
syncBuiltinESMExports();
