/** What each command tells the shell. `--help` and docs/commands.md list them. */
export const EXIT = {
  /** Done; of `status`, `list` and `drift`: all is well. */
  well: 0,
  /** The command failed, or what it was to find out could not be found out. */
  failed: 1,
  /** `restore --keep-going`: something is missing; `verify`: stored whole, but not decrypted. */
  lessThanWhole: 2,
  /** `doctor`: nothing failed, but not every check could be made; `drill`: nothing was found out about the backup. */
  couldNotRun: 3,
  /** `status`, `list` and `drift` have found what somebody must see to. The same as Pulumi's for `--expect-no-changes`. */
  badNews: 7,
  /** The command line could not be understood. EX_USAGE of sysexits.h. */
  usage: 64,
  /** Ctrl-C, or a signal that ends programs: 128 and SIGINT, as a shell has it. */
  interrupted: 130,
} as const;

/** The table for `--help`. */
export const EXIT_TABLE: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.well, "done; status, list, drift: all is well"],
  [EXIT.failed, "failed, or it could not be found out"],
  [EXIT.lessThanWhole, "restore --keep-going, verify: less than the whole"],
  [EXIT.couldNotRun, "doctor: not every check could be made; drill: it could not run"],
  [EXIT.badNews, "status, list, drift: bad news, such as a backup that is too old"],
  [EXIT.usage, "the command line is not understood"],
  [EXIT.interrupted, "interrupted, as by Ctrl-C"],
];
