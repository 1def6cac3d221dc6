import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { type ArchiveItem, describeItem, parseArchive } from "../../archive/contents.ts";
import { decodeText } from "../../archive/toc/archiveText.ts";
import { connectionString, libpqEnvironment } from "../../postgres/connection.ts";
import { describeExit, readText, runProgram } from "../../streams/process.ts";

/** How a restored database's definitions compare with those of the archive. */
export interface DefinitionResult {
  /** Number of definitions compared. */
  readonly compared: number;
  /** What is missing or different, each for a sentence. */
  readonly differences: readonly string[];
}

/**
 * Entries whose content is rows, or is looked at elsewhere: the database itself, large objects (only their number is
 * compared), and subscriptions, which only a superuser may dump.
 */
const NOT_COMPARED =
  /^(?:TABLE DATA|BLOB.*|LARGE OBJECT.*|SEQUENCE SET|MATERIALIZED VIEW DATA|STATISTICS DATA|DATABASE.*|SUBSCRIPTION.*|ENCODING|STDSTRINGS|SEARCHPATH)$/;
const ABOUT_NOT_COMPARED = /^(?:LARGE OBJECTS?|DATABASE|SUBSCRIPTION) /;
/**
 * Entries whose statements are compared, too. Others may come back in other words: PostgreSQL writes the same CHECK of a
 * varchar in another way once it has been restored. Their statement has succeeded, or the restore would have failed; a GRANT
 * without effect succeeds with a warning.
 */
const BY_TEXT = /^(?:ACL|DEFAULT ACL)$/;
/** Owned and granted in another way by default since PostgreSQL 15, so that it is written or left out by the major. */
const PUBLIC_SCHEMA = /^(?:SCHEMA )?(?:public|"public")$/;
const SHOWN = 20;

/**
 * The schema public and its comment are written only where they are not the usual ones, or where options chose them
 * (`--schema=pub*`); they come with every new database.
 */
function isInEveryDatabase({ type, name, sql }: ArchiveItem): boolean {
  if (!PUBLIC_SCHEMA.test(name)) return false;
  return type === "SCHEMA" || (type === "COMMENT" && sql.includes("'standard public schema'"));
}

/**
 * Compares what an archive declares (its objects by kind and name, their owners and grants) with what a restored database
 * has, of which pg_dump lists the definitions. No row is read.
 * @param declared the entries that were restored
 * @param sameMajor false: another major made the archive, so that grants may be written in other words
 */
export async function compareDefinitions(
  settings: ServerSettings,
  database: string,
  {
    declared,
    withOwners,
    sameMajor,
    signal,
  }: {
    readonly declared: readonly ArchiveItem[];
    readonly withOwners: boolean;
    readonly sameMajor: boolean;
    readonly signal: AbortSignal;
  },
): Promise<DefinitionResult | { readonly failure: string }> {
  const program = runProgram('exec nice -n 10 pg_dump "$@"', {
    args: [
      "--schema-only",
      "--verbose",
      "--no-password",
      `--dbname=${connectionString(database)}`,
      ...(withOwners ? [] : ["--no-owner", "--no-acl"]),
    ],
    env: { ...libpqEnvironment(settings), LC_ALL: "C", LANGUAGE: "" },
    stdin: "ignore",
  });
  const stop = () => program.kill();
  signal.addEventListener("abort", stop, { once: true });
  let sql = "";
  try {
    const read = (text: string) => {
      sql += text;
    };
    const printed = readText(program.stdout, read, "latin1");
    const ended = await program.ended;
    await printed;
    signal.throwIfAborted();
    if (ended.code !== 0) {
      const warnings = ended.stderr.split("\n").filter((line) => /error: |detail: /.test(line));
      return { failure: describeExit("pg_dump", { ...ended, stderr: warnings.join("\n") }) };
    }
  } finally {
    signal.removeEventListener("abort", stop);
    program.kill();
  }
  const text = decodeText(sql);
  const found = parseArchive(listOf(text), text).items;
  return difference(declared, found, { withOwners, sameMajor });
}

/** The lines of `--list`, as far as the text itself has them. */
function listOf(sql: string): string {
  return [...sql.matchAll(/^-- TOC entry (\d+) \(class (\d+) OID (\d+)\)$/gm)]
    .map(([, id, catalog, oid]) => `${id}; ${catalog} ${oid} ENTRY`)
    .join("\n");
}

/** What of the declared entries is not among the found ones, or differs there, and what is found besides. */
export function difference(
  declared: readonly ArchiveItem[],
  found: readonly ArchiveItem[],
  { withOwners, sameMajor }: { readonly withOwners: boolean; readonly sameMajor: boolean },
): DefinitionResult {
  const comparable = ({ type, name }: ArchiveItem) =>
    (withOwners || !BY_TEXT.test(type)) &&
    (sameMajor || !/^(?:SCHEMA|ACL|COMMENT)$/.test(type) || !PUBLIC_SCHEMA.test(name));
  const wanted = group(declared.filter(comparable));
  const present = group(found.filter(comparable));
  const texts: string[] = [];
  for (const [key, items] of wanted) {
    const others = present.get(key) ?? [];
    const [item] = items as [ArchiveItem];
    const what = describeItem(item);
    if (others.length < items.length && !isInEveryDatabase(item)) {
      texts.push(`${what}: it is missing in the restored database`);
      continue;
    }
    if (others.length === 0) continue;
    const owners = (list: readonly ArchiveItem[]) => list.map(({ owner }) => owner).toSorted();
    const [should, is] = [owners(items).join(", "), owners(others).join(", ")];
    if (withOwners && should !== is) {
      texts.push(`the owner of ${what}: "${is}" instead of "${should}"`);
    }
    const text = (list: readonly ArchiveItem[]) => list.map(grantsOf).toSorted().join();
    if (BY_TEXT.test(item.type) && sameMajor && text(items) !== text(others)) {
      texts.push(`${what}: its grants differ from those of the backup`);
    }
  }
  for (const [key, items] of present) {
    const [item] = items as [ArchiveItem];
    if (wanted.has(key) || !sameMajor || !BY_TEXT.test(item.type)) continue;
    texts.push(`${describeItem(item)}: it has grants that are not in the backup`);
  }
  const more = texts.length - SHOWN;
  return {
    compared: [...wanted.values()].reduce((sum, items) => sum + items.length, 0),
    differences: more > 0 ? [...texts.slice(0, SHOWN), `${more} more definitions`] : texts,
  };
}

function group(items: readonly ArchiveItem[]) {
  const groups = new Map<string, ArchiveItem[]>();
  for (const item of items) {
    const { type, schema, name } = item;
    if (NOT_COMPARED.test(type) || ABOUT_NOT_COMPARED.test(name)) continue;
    const key = JSON.stringify([type, schema, plainNames(name)]);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/** Without the quotes that a name does not need, which --quote-all-identifiers has put around it. */
function plainNames(text: string): string {
  return text.replace(/"([a-z_][a-z0-9_$]*)"/g, "$1");
}

/** The statements in one order. */
function grantsOf({ sql }: ArchiveItem): string {
  return plainNames(sql)
    .split("\n")
    .filter((line) => line !== "")
    .toSorted()
    .join("\n");
}
