import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readDumpOptions } from "../../../common/contracts/agentEnvironment/dumpOptions.ts";

/** What cannot be taken, in every spelling that pg_dump takes, and what the sentence says of it. */
const REFUSED: readonly [reason: RegExp, spellings: readonly string[]][] = [
  [
    /which leaves out either the definitions or the rows, so that nothing could be restored/,
    [
      ...["--schema-only", "-s", "--schema-", "--schema-o", "-xs", "-sx", "-vsB"],
      ...["--data-only", "-a", "--data", "-va", "--no-data", "--no-schema"],
      ...["--section=pre-data", "--section pre-data", "--sect=data", "--section=post-data"],
      "--statistics-only",
    ],
  ],
  [
    /which the backup sets itself/,
    [
      ...["-Fp", "-F p", "--format=plain", "--format plain", "--form=t", "-xFd", "-vFp"],
      ...["-f", "-fx", "-f x", "--file=x", "-j4", "--jobs 4", "--jo=4", "-Z9", "--compress=0"],
      ...["-d", "-dx", "--dbname=x", "-h", "-hx", "--host x", "-p5433", "-Uroot", "--user=root"],
      ...["-W", "--pass", "--snapshot=x", "--binary-upgrade"],
    ],
  ],
  [
    /which has no effect on an archive/,
    ["--no-owner", "-O", "--no-o", "-xO", "-Ox", "--no-tablespaces", "--no-table-access-method"],
  ],
  [
    /which rounds fractions .* 1 or more is exact/,
    ["--extra-float-digits=0", "--extra-float-digits -15", "--extra=0"],
  ],
  [/which takes a snapshot of its own/, ["--serializable-deferrable", "--serial"]],
  [/behind which pg_dump takes no more options/, ["--"]],
  [/prints something else than a dump/, ["--help", "-?", "--version", "-V", "--vers"]],
  [
    /which leaves every table or all rows out/,
    [
      ...["--exclude-table-data=*", "--exclude-table-data *", "--exclude-table-data=*.*"],
      ...["-T*", "-T *", "--exclude-table=*", "-N *", "--exclude-schema=*", "--exclude-sch=*"],
    ],
  ],
];

/** What is passed on. */
const TAKEN: readonly [text: string, words: string][] = [
  ["", ""],
  ["  --schema=public  \t-T logs\n", "--schema=public -T logs"],
  ["-Fc --format=custom --format c -F custom --no-password -w", ""],
  ["--clean --if-exists -c -C --create", ""],
  ["-vcx", "-v -x"],
  // The word behind is its value, whatever it looks like.
  ["-T -s --exclude-table --data-only -n -a", "-T -s --exclude-table --data-only -n -a"],
  ["-Tsessions", "-Tsessions"],
  ["-xTs", "-x -Ts"],
  ["--exclude-table-data=sessions.*", "--exclude-table-data=sessions.*"],
  ['--exclude-table-data="*"', '--exclude-table-data="*"'],
  ["--extra-float-digits=1", "--extra-float-digits=1"],
  ["--exclude-table-d=a", "--exclude-table-d=a"],
  ["--option-of-tomorrow s", "--option-of-tomorrow s"],
  // Short for several: pg_dump refuses it.
  ["--sc=public", "--sc=public"],
];

describe("options of pg_dump", () => {
  for (const [reason, spellings] of REFUSED) {
    for (const spelling of spellings) {
      it(`${spelling} is refused`, () => {
        for (const text of [spelling, `--exclude-table-data=logs ${spelling}`]) {
          const read = readDumpOptions(text);
          assert("fault" in read, `${text} was taken: ${JSON.stringify(read)}`);
          assert.match(read.fault, reason);
          assert.ok(read.fault.startsWith(`has "${spelling}`), read.fault);
          assert.match(read.fault, /Remove it; options that choose what is dumped/);
        }
      });
    }
  }
  for (const [text, words] of TAKEN) {
    it(`${JSON.stringify(text)} is passed on as ${JSON.stringify(words)}`, () => {
      assert.deepEqual(readDumpOptions(text), { words: words.split(" ").filter(Boolean) });
    });
  }
});
