import { Problem } from "../common/problem.ts";
import { accessoriesSection, type Line, type Section, splitLines } from "./accessoriesSection.ts";
import { requireAdded } from "./configuration/accessoryChange.ts";

/** The place of our block in a file's lines: from the opening marker to the closing one. */
interface Place {
  readonly begin: number;
  readonly end: number;
}

/** Indentation in which blocks of an accessory are given and returned, whatever the file uses. */
const CANONICAL_INDENT = 2;
const OWN_KEY = "accessories:";
/** What a hook begins with that is not there yet. */
export const NEW_HOOK = "#!/bin/sh\n";
const ANY_END = /^[ \t]*# <<< kamal-postgres-backup \S+/;
const ANY_BEGIN = /^[ \t]*# >>> kamal-postgres-backup (\S+)/;

/**
 * The text between our markers, as it was given to `writeMarkedBlock`; undefined when there are none.
 * @throws Problem when the markers are unbalanced or doubled
 */
export function readMarkedBlock(text: string, name: string): string | undefined {
  const lines = splitLines(text);
  const place = findPlace(lines, name);
  if (!place) return undefined;
  const inner = lines.slice(place.begin + 1, place.end).map((line) => line.text);
  const ownsKey = inner[0] === OWN_KEY;
  const shift = ownsKey ? 0 : indentOf(lines[place.begin]?.text ?? "") - CANONICAL_INDENT;
  const kept = ownsKey ? inner.slice(1) : inner;
  // A marker at the margin is in a file without indentation.
  return kept
    .map((line) => `${shift > -CANONICAL_INDENT ? shifted(line, -shift) : line}\n`)
    .join("");
}

/**
 * Puts the block between our markers, everything else stays byte for byte. Where there are no markers yet, it goes to the
 * end of the file, to the end of the mapping `accessories:`, indented as that one's other children, or to the beginning of a
 * hook, before it does anything. Twice is as once.
 * @param name of the backup, as in its markers
 * @param block lines that end; under `accessories` as `renderAccessoryBlock` makes them
 * @throws Problem when the block's key is there outside our markers, when the markers are damaged, or when `accessories:` is written in a way that cannot be added to
 */
export function writeMarkedBlock(
  text: string,
  name: string,
  block: string,
  under: "accessories" | "hook" | undefined,
): string {
  const written = withMarkedBlock(text, name, block, under);
  if (under === "accessories") requireAdded(removeMarkedBlock(text, name), written, block);
  return written;
}

function withMarkedBlock(
  text: string,
  name: string,
  block: string,
  under: "accessories" | "hook" | undefined,
): string {
  if (under === "hook" && text === "") return withMarkedBlock(NEW_HOOK, name, block, under);
  if (!/^[\w.-]+$/.test(name)) {
    throw new Problem(
      `"${name}" cannot name a marked block. Use letters, digits, "_", "." and "-".`,
    );
  }
  const lines = splitLines(text);
  const place = findPlace(lines, name);
  const inner = block === "" ? [] : block.replace(/\n$/, "").split("\n");
  const section = under === "accessories" ? accessoriesSection(lines, place) : undefined;
  if (section) refuseForeignKey(lines, section, inner[0] ?? "");
  // Someone moved the markers to where no accessory can be: the block starts anew.
  if (place && under === "accessories" && !isInPlace(lines, place, section)) {
    return withMarkedBlock(removeMarkedBlock(text, name), name, block, under);
  }
  const indent = section?.childIndent ?? 0;
  const ownsKey = under === "accessories" && section === undefined;
  const body = section ? inner.map((line) => shifted(line, indent - CANONICAL_INDENT)) : inner;
  const marked = marks(name, ownsKey ? [OWN_KEY, ...body] : body, indent);
  const eol = lines[0]?.end.startsWith("\r") ? "\r\n" : "\n";
  if (place) return splice(lines, place, marked, eol);
  if (under === "hook") return insert(lines, afterHead(lines), marked, eol);
  return insert(
    lines,
    section ? outsideOtherMarks(lines, section.insertAt) : lines.length,
    marked,
    eol,
  );
}

/** Behind a hook's first line and the comments that follow it: Ruby reads its own settings there. */
function afterHead(lines: readonly Line[]): number {
  const at = lines.findIndex(({ text }) => !text.startsWith("#") || ANY_BEGIN.test(text));
  return at < 0 ? lines.length : at;
}

function isInPlace(lines: readonly Line[], place: Place, section: Section | undefined): boolean {
  const ownsKey = lines[place.begin + 1]?.text === OWN_KEY;
  if (!section) return ownsKey;
  return !ownsKey && place.begin > section.head && place.end < section.stop;
}

/**
 * Takes our block and its markers out again; a text without them comes back as it is.
 * @throws Problem when the markers are unbalanced or doubled
 */
export function removeMarkedBlock(text: string, name: string): string {
  const lines = splitLines(text);
  const place = findPlace(lines, name);
  if (!place) return text;
  const before = lines.slice(0, place.begin);
  const after = lines.slice(place.end + 1);
  const last = before.at(-1);
  // A file that did not end its last line when we came does not end it when we go.
  if (after.length === 0 && lines[place.end]?.end === "" && last) {
    before[before.length - 1] = { ...last, end: "" };
  }
  if (lines[place.begin + 1]?.text !== OWN_KEY) return join([...before, ...after]);
  return join([...before, ...keepKeyFor(after)]);
}

/**
 * Children that came after the block would lose the key `accessories:` with it. The key stays for them; where another
 * backup's block comes next, inside its markers.
 */
function keepKeyFor(after: readonly Line[]): readonly Line[] {
  const next = after.findIndex(
    ({ text }) => ANY_BEGIN.test(text) || (text.trim() !== "" && !/^\s*#/.test(text)),
  );
  const line = after[next];
  if (!line) return after;
  const isBlock = ANY_BEGIN.test(line.text);
  if (!isBlock && indentOf(line.text) === 0) return after;
  const at = isBlock ? next + 1 : 0;
  return [...after.slice(0, at), { text: OWN_KEY, end: line.end }, ...after.slice(at)];
}

/**
 * Refuses a block of secrets with a name that another backup's block in the file has: Kamal takes the last one for both.
 * @throws Problem that names the secret and the other backup
 */
export function refuseSharedSecrets(text: string, name: string, block: string): void {
  const own = new Set(block.split("\n").flatMap(secretName));
  const lines = splitLines(text);
  lines.forEach(({ text: line }, at) => {
    const [secret] = secretName(line);
    if (secret === undefined || !own.has(secret)) return;
    const backup = backupAround(lines, at);
    if (backup === undefined || backup === name) return;
    throw new Problem(
      `${secret} is already there (line ${at + 1}), in the block of another backup, "${backup}", and Kamal takes the last one for both. Give this backup's accessory another key with kamal.accessory, or its secrets another file with kamal.secretsFile.`,
    );
  });
}

/**
 * Refuses a block of an accessory where another stack has its own under the same name: each would take it for its own.
 * @param key of the accessory; empty where the block has none
 * @throws Problem that names both accessories
 */
export function refuseOtherKey(text: string, name: string, key: string): void {
  const found = keyOf(readMarkedBlock(text, name)?.split("\n")[0] ?? "");
  if (key === "" || found === "" || found === key) return;
  throw new Problem(
    `a backup called "${name}" is already there as accessories.${found}, and this one is accessories.${key}. Give this backup another name (kamal-postgres-backup:name in a stack); where the other one is gone, delete its lines and the markers around them.`,
  );
}

/** Of an accessory's first line, `  db_backup:`. */
function keyOf(line: string): string {
  return line.trim().replace(/:.*$/, "");
}

function secretName(line: string): string[] {
  const name = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=/.exec(line)?.[1];
  return name === undefined ? [] : [name];
}

function findPlace(lines: readonly Line[], name: string): Place | undefined {
  const escaped = name.replace(/[.]/g, "\\.");
  const opens = new RegExp(`^[ \\t]*# >>> kamal-postgres-backup ${escaped}(?:[ \\t]|$)`);
  const closes = new RegExp(`^[ \\t]*# <<< kamal-postgres-backup ${escaped}[ \\t]*$`);
  const begins = lines.flatMap(({ text }, index) => (opens.test(text) ? [index] : []));
  const ends = lines.flatMap(({ text }, index) => (closes.test(text) ? [index] : []));
  const [begin] = begins;
  const [end] = ends;
  if (begin === undefined && end === undefined) return undefined;
  if (
    begins.length !== 1 ||
    ends.length !== 1 ||
    begin === undefined ||
    end === undefined ||
    end < begin
  ) {
    throw new Problem(
      `the marker comments of kamal-postgres-backup ${name} are damaged: ${begins.length} open (# >>>), ${ends.length} close (# <<<), where one pair is needed. Delete these comments and what is between them, then run pulumi up.`,
    );
  }
  return { begin, end };
}

function refuseForeignKey(lines: readonly Line[], section: Section, firstLine: string): void {
  const key = keyOf(firstLine);
  const foreign = section.children.find((child) => child.key === key);
  if (!foreign) return;
  const backup = backupAround(lines, foreign.line);
  const whose =
    backup === undefined
      ? "not written by kamal-postgres-backup"
      : `another backup's ("${backup}")`;
  throw new Problem(
    `accessories.${key} is already there (line ${foreign.line + 1}) and is ${whose}. Rename or remove it, or give the backup's accessory another key with kamal.accessory.`,
  );
}

/** Where an accessory stands in a deploy.yml. */
export interface AccessoryPlace {
  /** Counted from 1; undefined where it does not stand on lines of its own. */
  readonly line: number | undefined;
  /** Name of the backup whose block it is; undefined: somebody wrote it by hand. */
  readonly backup: string | undefined;
}

/** Finds an accessory that is known to be in the file. */
export function placeOfAccessory(text: string, key: string): AccessoryPlace {
  const lines = splitLines(text);
  let section: Section | undefined;
  try {
    section = accessoriesSection(lines);
  } catch (error) {
    // Written in a way that nothing can be added to, which is fine where nothing shall be.
    if (!(error instanceof Problem)) throw error;
  }
  const child = section?.children.find((each) => each.key === key);
  if (!child) return { line: undefined, backup: undefined };
  return { line: child.line + 1, backup: backupAround(lines, child.line) };
}

/** Name of the backup between whose markers a line is. */
function backupAround(lines: readonly Line[], at: number): string | undefined {
  const begin = lines.findLastIndex(({ text }, index) => index < at && ANY_BEGIN.test(text));
  const end = lines.findIndex(({ text }, index) => index > begin && ANY_END.test(text));
  return begin >= 0 && end > at ? ANY_BEGIN.exec(lines[begin]?.text ?? "")?.[1] : undefined;
}

/** Another backup's block may bring the key `accessories:` itself; the new block comes after it, not into it. */
function outsideOtherMarks(lines: readonly Line[], at: number): number {
  const begin = lines.findLastIndex(({ text }, index) => index < at && ANY_BEGIN.test(text));
  const end = lines.findIndex(({ text }, index) => index > begin && ANY_END.test(text));
  return begin >= 0 && end >= at ? end + 1 : at;
}

function marks(name: string, inner: readonly string[], indent: number): string[] {
  const margin = " ".repeat(indent);
  return [
    `${margin}# >>> kamal-postgres-backup ${name} (written by pulumi up; edits here count as drift)`,
    ...inner,
    `${margin}# <<< kamal-postgres-backup ${name}`,
  ];
}

/** After a last line without line end, the block has none either: that is how `removeMarkedBlock` knows. */
function insert(lines: readonly Line[], at: number, added: readonly string[], eol: string): string {
  const before = lines.slice(0, at);
  const last = before.at(-1);
  const open = last !== undefined && last.end === "";
  if (open) before[before.length - 1] = { ...last, end: eol };
  const block = added.map((text, index) => ({
    text,
    end: open && index === added.length - 1 ? "" : eol,
  }));
  return join([...before, ...block, ...lines.slice(at)]);
}

function splice(
  lines: readonly Line[],
  place: Place,
  added: readonly string[],
  eol: string,
): string {
  const closing = lines[place.end]?.end ?? eol;
  const block = added.map((text, index) => ({
    text,
    end: index === added.length - 1 ? closing : eol,
  }));
  return join([...lines.slice(0, place.begin), ...block, ...lines.slice(place.end + 1)]);
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length;
}

function shifted(line: string, by: number): string {
  if (by <= 0) return line.slice(Math.min(-by, indentOf(line)));
  return line === "" ? line : " ".repeat(by) + line;
}

function join(lines: readonly Line[]): string {
  return lines.map(({ text, end }) => text + end).join("");
}
