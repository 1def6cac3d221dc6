/** What becomes of an option: passed on (absent), or why it is not. */
type Verdict =
  /** Done in any case: taken out. */
  | "redundant"
  /** Changes what the stream is or where it goes. */
  | "own"
  /** Leaves out the definitions or the rows, so that nothing useful can be restored. */
  | "nothing"
  /** pg_dump ignores it for an archive; it is pg_restore's. */
  | "no effect"
  /** Prints something else than a dump. */
  | "no dump"
  /** Excludes whatever there is. */
  | "everything"
  /** Writes other values than the table has. */
  | "rounded"
  /** Wants a snapshot of its own. */
  | "snapshot"
  /** Ends the options, of which the backup's own ones follow. */
  | "end";

interface Option {
  /** The one letter that means the same. */
  readonly short?: string;
  /** A value follows: `--name=value`, `--name value`, `-nvalue` or `-n value`. */
  readonly takesValue?: true;
  readonly verdict?: Verdict;
}

const value = { takesValue: true } as const;
const own = { verdict: "own" } as const;
const nothing = { verdict: "nothing" } as const;
const noEffect = { verdict: "no effect" } as const;
const redundant = { verdict: "redundant" } as const;

/**
 * Every option of pg_dump 14 to 18, by `long_options` and the text of `getopt_long` in their pg_dump.c. Whatever is not here
 * is passed on: pg_dump itself refuses what it does not know.
 */
const OPTIONS: Readonly<Record<string, Option>> = {
  format: { ...own, ...value, short: "F" },
  file: { ...own, ...value, short: "f" },
  jobs: { ...own, ...value, short: "j" },
  compress: { ...own, ...value, short: "Z" },
  dbname: { ...own, ...value, short: "d" },
  host: { ...own, ...value, short: "h" },
  port: { ...own, ...value, short: "p" },
  username: { ...own, ...value, short: "U" },
  password: { ...own, short: "W" },
  snapshot: { ...own, ...value },
  "binary-upgrade": own,
  "data-only": { ...nothing, short: "a" },
  "schema-only": { ...nothing, short: "s" },
  section: { ...nothing, ...value },
  "no-data": nothing,
  "no-schema": nothing,
  "statistics-only": nothing,
  "no-owner": { ...noEffect, short: "O" },
  "no-tablespaces": noEffect,
  "no-table-access-method": noEffect,
  "use-set-session-authorization": noEffect,
  help: { verdict: "no dump", short: "?" },
  version: { verdict: "no dump", short: "V" },
  "no-password": { ...redundant, short: "w" },
  // A restore makes a new database, with the owner, locale and settings of the backup's.
  clean: { ...redundant, short: "c" },
  create: { ...redundant, short: "C" },
  "if-exists": redundant,
  "attribute-inserts": {},
  blobs: { short: "b" },
  "column-inserts": {},
  "disable-dollar-quoting": {},
  "disable-triggers": {},
  "enable-row-security": {},
  encoding: { ...value, short: "E" },
  "exclude-extension": value,
  "exclude-schema": { ...value, short: "N" },
  "exclude-table": { ...value, short: "T" },
  "exclude-table-and-children": value,
  "exclude-table-data": value,
  "exclude-table-data-and-children": value,
  extension: { ...value, short: "e" },
  "extra-float-digits": value,
  filter: value,
  "include-foreign-data": value,
  inserts: {},
  "large-objects": { short: "b" },
  "load-via-partition-root": {},
  "lock-wait-timeout": value,
  "no-acl": { short: "x" },
  "no-blobs": { short: "B" },
  "no-comments": {},
  "no-large-objects": { short: "B" },
  "no-policies": {},
  "no-privileges": { short: "x" },
  "no-publications": {},
  "no-reconnect": { short: "R" },
  "no-security-labels": {},
  "no-statistics": {},
  "no-subscriptions": {},
  "no-sync": {},
  "no-synchronized-snapshots": {},
  "no-toast-compression": {},
  "no-unlogged-table-data": {},
  "on-conflict-do-nothing": {},
  "quote-all-identifiers": {},
  "restrict-key": value,
  role: value,
  "rows-per-insert": value,
  schema: { ...value, short: "n" },
  "sequence-data": {},
  "serializable-deferrable": { verdict: "snapshot" },
  statistics: {},
  "strict-names": {},
  superuser: { ...value, short: "S" },
  "sync-method": value,
  table: { ...value, short: "t" },
  "table-and-children": value,
  verbose: { short: "v" },
};

/** The long name of each letter. */
const SHORT = new Map(
  Object.entries(OPTIONS).flatMap(([name, { short }]) =>
    short === undefined ? [] : [[short, name]],
  ),
);

const REASONS: Readonly<Record<Exclude<Verdict, "redundant">, string>> = {
  own: "which the backup sets itself (custom format, zstd, one stream, the settings' server)",
  nothing:
    "which leaves out either the definitions or the rows, so that nothing could be restored from the backup",
  "no effect":
    "which has no effect on an archive: it is the restore that would have to leave that out",
  "no dump": "with which pg_dump prints something else than a dump",
  end: "behind which pg_dump takes no more options, not the backup's own ones either",
  rounded:
    "which rounds fractions (double precision, real), so that a restore would bring back other values; 1 or more is exact",
  snapshot:
    "which takes a snapshot of its own, while dump and row counts share one so that they agree",
  everything:
    "which leaves every table or all rows out, so that nothing could be restored from the backup",
};

/** Options that leave out whatever their pattern matches. */
const EXCLUDING = new Set([
  "exclude-schema",
  "exclude-table",
  "exclude-table-and-children",
  "exclude-table-data",
  "exclude-table-data-and-children",
]);
/** A pattern that matches every name, such as `*` and `*.*`; in quotes a star is itself. */
const EVERYTHING = /^\*+(?:\.\*+)*$/;

/** One option as `getopt_long` of the C library reads it. */
interface Read {
  /** As it was written. */
  readonly shown: string;
  /** The words to pass on. */
  readonly words: readonly string[];
  /** Its long name; null for what is not known here. */
  readonly name: string | null;
  readonly value: string | undefined;
}

/**
 * Reads `PGDUMP_EXTRA_OPTS`, split at white space, as the old image's shell did.
 * @returns the words for pg_dump; or why they cannot be taken, as the end of a sentence that begins with their name
 */
export function readDumpOptions(text: string): { words: string[] } | { fault: string } {
  const words: string[] = [];
  for (const read of parseWords(text.split(/\s+/).filter((word) => word !== ""))) {
    const verdict = verdictOn(read);
    if (verdict === "redundant") continue;
    if (verdict !== undefined) {
      return {
        fault: `has "${read.shown}", ${REASONS[verdict]}. Remove it; options that choose what is dumped, such as --exclude-table, are fine.`,
      };
    }
    words.push(...read.words);
  }
  return { words };
}

/**
 * @param words as `readDumpOptions` returns them
 * @returns those of them that are these options, with their values
 */
export function onlyOptions(words: readonly string[], names: ReadonlySet<string>): string[] {
  const chosen: string[] = [];
  for (const read of parseWords(words)) if (names.has(read.name ?? "")) chosen.push(...read.words);
  return chosen;
}

function verdictOn({ shown, name, value }: Read): Verdict | undefined {
  if (name === null) return shown === "--" ? "end" : undefined;
  // The format that the backup sets, which users of the old image have written.
  if (name === "format" && /^c(?:ustom)?$/i.test(value ?? "")) return "redundant";
  if (name === "extra-float-digits" && Number(value) < 1) return "rounded";
  if (EXCLUDING.has(name) && EVERYTHING.test(value ?? "")) return "everything";
  return OPTIONS[name]?.verdict;
}

/** Takes the words apart by the rules of getopt_long(3): a value may be a word of its own, a long name may be cut short. */
function* parseWords(all: readonly string[]): Generator<Read> {
  const words = [...all];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word.startsWith("--")) yield parseLong(word, words);
    else if (word.startsWith("-") && word !== "-") yield* parseShort(word, words);
    else yield { shown: word, words: [word], name: null, value: undefined };
  }
}

/** @param rest the words behind it, from which its value is taken */
function parseLong(word: string, rest: string[]): Read {
  const [, written = "", attached] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const name = fullName(written);
  const separate =
    name !== null && attached === undefined && OPTIONS[name]?.takesValue ? rest.shift() : undefined;
  const words = separate === undefined ? [word] : [word, separate];
  return { shown: words.join(" "), words, name, value: attached ?? separate };
}

/** Several letters may stand in one word; the rest of it, or else the next word, is the value of the first that takes one. */
function* parseShort(word: string, rest: string[]): Generator<Read> {
  for (let at = 1; at < word.length; at += 1) {
    const letter = word[at] as string;
    const name = SHORT.get(letter) ?? null;
    const takesValue = name !== null && OPTIONS[name]?.takesValue === true;
    const attached = takesValue ? word.slice(at + 1) : "";
    const separate = takesValue && attached === "" ? rest.shift() : undefined;
    const more = separate === undefined ? [] : [separate];
    yield {
      shown: [word, ...more].join(" "),
      words: [`-${letter}${attached}`, ...more],
      name,
      value: takesValue ? attached || separate : undefined,
    };
    if (takesValue) return;
  }
}

/**
 * The name that a word stands for; null: of none or of several. Those that are short for several are refused by pg_dump,
 * unless its version does not know all of them; then they are not among the ones that matter here.
 */
function fullName(written: string): string | null {
  if (Object.hasOwn(OPTIONS, written)) return written;
  const candidates = Object.keys(OPTIONS).filter((name) => name.startsWith(written));
  const [first] = candidates;
  if (first === undefined || written === "") return null;
  const verdicts = new Set(candidates.map((name) => OPTIONS[name]?.verdict));
  const takeValue = new Set(candidates.map((name) => OPTIONS[name]?.takesValue));
  return verdicts.size === 1 && takeValue.size === 1 ? first : null;
}
