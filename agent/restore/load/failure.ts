import { BadBackup, Problem } from "../../../common/problem.ts";
import { describeExit, type ExitResult } from "../../streams/process.ts";
import { isFullDisk } from "../checks/space.ts";
import type { RestoreOutput } from "./pgRestoreOutput.ts";
import { asSentence } from "./statementErrors.ts";

/** A field or a message larger than the server can handle: MaxAllocSize of PostgreSQL 17's memutils.h, enlargeStringInfo. */
const TOO_LARGE =
  /invalid memory alloc request size|out of memory[\s\S]*(?:Cannot enlarge string buffer|enlarge)|string buffer exceeds maximum|Cannot enlarge string buffer/i;

/** How `pg_restore` failed, with advice where there is some. */
export function restoreFailure({ code, stderr }: ExitResult, output: RestoreOutput): Problem {
  const words = [output.failure(), stderr].filter(Boolean).join("\n");
  const ending = { code, stderr: asSentence(words.split("\n").filter(Boolean)) };
  const sentence = `${describeExit("pg_restore", ending)}.${adviceFor(words)}`;
  const blameless = SURROUNDINGS.test(words) && !TOO_LARGE.test(words);
  return blameless || code === null ? new Problem(sentence) : new BadBackup(sentence);
}

/** What a server, its disk, its memory or the network does to any restore. */
const SURROUNDINGS =
  /No space left on device|could not (?:extend file|resize shared memory|fork)|out of (?:shared )?memory|connection to server|server closed the connection|terminating connection|FATAL: /;

/** What helps against an error of the server, as sentences with a blank in front; empty where nothing is known. */
export function adviceFor(words: string): string {
  if (isFullDisk(words)) {
    return " The database server's disk is full: a restore needs room for a second copy of the database. Free some space, or drop an old <database>_before_... first.";
  }
  if (TOO_LARGE.test(words)) {
    return " A row, or one of its values, is larger than the server takes in one piece: less than 1 GB, and bytea counts twice, since it travels as hexadecimal text. No restore of this dump can load that row; leave the table's rows out with --exclude-table, and copy that row by itself, for instance with lo_export or in pieces by substring().";
  }
  return "";
}
