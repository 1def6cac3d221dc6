import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { type ArchiveContents, type ArchiveItem, describeItem } from "../../archive/contents.ts";
import { identifier } from "../../postgres/identifiers.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { missingRolesProblem } from "./requiredRoles.ts";

/** A statement of the archive that the server refuses even without a row. */
export interface RefusedItem {
  readonly item: ArchiveItem;
  readonly code: string;
  readonly message: string;
  readonly detail: string;
  /** The role that the server does not have, where that is the reason. */
  readonly missingRole: string | null;
}

/**
 * Entries that stand for rows, or that look at rows: they may fail in an empty database and succeed in a full one. Large objects
 * themselves are not made here, so nothing about them can be tried.
 */
const ABOUT_ROWS = new Set(["MATERIALIZED VIEW DATA", "SEQUENCE SET", "STATISTICS DATA"]);
const ABOUT_LARGE_OBJECTS = /^LARGE OBJECTS? /;

/**
 * Classes and codes of errors that do not depend on rows, by appendix A of PostgreSQL's documentation: 42 syntax, names and
 * rights, 3F no such schema, 0A not supported, 58 a library or file that is missing, 22023 a value that is not allowed, 55000 what
 * must be loaded at the server's start.
 */
const CERTAIN = /^(?:42|3F|0A|58)|^(?:22023|55000)$/;
/** Errors that follow from an entry before them that failed. */
const CONSEQUENCE = /^(?:42P01|42883|42704|42703|3F000)$/;
/** The server's functions that look a role up: get_role_oid, get_rolespec_oid, get_rolespec_tuple of acl.c. */
const ROLE_LOOKUP = /^get_role/;

/**
 * Tries every definition of an archive in an empty database, without rows: the server itself tells what it will refuse, whatever
 * the kind of statement and whatever it names. That takes moments, where a restore finds it out after hours of loading.
 * @param client connection to an empty database that is dropped afterwards
 * @param without numbers of entries that will not be restored
 * @param role to work as, extensions apart; null: the connection's
 * @returns what is certain to fail
 */
export async function rehearse(
  client: pg.Client,
  { preamble, items }: ArchiveContents,
  without: ReadonlySet<number>,
  role: string | null,
): Promise<RefusedItem[]> {
  const refused: RefusedItem[] = [];
  // In a text that is not what the archive holds, two names may have become one.
  if (items.some(({ sql }) => sql.includes("\uFFFD"))) return refused;
  await client.query(preamble);
  let uncertain = false;
  for (const item of items) {
    const { id, type, name, settings, sql } = item;
    // Event triggers do not stay, so that there is nothing to comment on.
    const skipped =
      without.has(id) ||
      ABOUT_ROWS.has(type) ||
      ABOUT_LARGE_OBJECTS.test(name) ||
      name.startsWith("EVENT TRIGGER ") ||
      sql === "";
    if (skipped && settings === "") continue;
    try {
      if (settings !== "") await client.query(settings);
      if (skipped) continue;
      if (role !== null) {
        const asConnected = isOfExtension(item) || isOfEventTrigger(item);
        await client.query(asConnected ? "RESET ROLE" : `SET ROLE ${identifier(role)}`);
      }
      if (type === "EVENT TRIGGER") await tryAndTakeBack(client, sql);
      else await client.query(sql);
    } catch (error) {
      const code = errorCode(error);
      // The connection itself: nothing more can be tried.
      if (code?.length !== 5 || code.startsWith("57")) throw error;
      const raised = type === "EXTENSION" && code === "P0001";
      if (raised || (CERTAIN.test(code) && !(uncertain && CONSEQUENCE.test(code)))) {
        const words = wordsOf(error);
        refused.push({ item, code, ...words });
        // So that what needs it is not refused for the same reason.
        if (words.missingRole !== null) await makeWithoutOwner(client, sql);
      } else {
        uncertain = true;
      }
    }
  }
  return refused;
}

/** One on login may refuse the next connection, which drops the database. */
async function tryAndTakeBack(client: pg.Client, sql: string): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
  } finally {
    await client.query("ROLLBACK");
  }
}

/** The last statement of an entry gives it its owner. */
async function makeWithoutOwner(client: pg.Client, sql: string): Promise<void> {
  const [rest, owner] = withoutOwner(sql);
  if (owner !== "") await client.query(rest).catch(() => {});
}

/** The statements of an entry without the last one that gives it its owner, and that one; empty where there is none. */
export function withoutOwner(sql: string): readonly [rest: string, owner: string] {
  const owner = /\n\nALTER [^\n]* OWNER TO [^\n]*;$/.exec(sql)?.[0] ?? "";
  return [sql.slice(0, sql.length - owner.length), owner.trim()];
}

/** What only a superuser may make, or somebody whom the extension trusts. */
export function isOfExtension({ type, name }: Pick<ArchiveItem, "type" | "name">): boolean {
  return type === "EXTENSION" || (type === "COMMENT" && name.startsWith("EXTENSION "));
}

/** An event trigger, or a comment on one. Only a superuser may make or own it. */
export function isOfEventTrigger({ type, name }: Pick<ArchiveItem, "type" | "name">): boolean {
  return type === "EVENT TRIGGER" || name.startsWith("EVENT TRIGGER ");
}

/** An extension that works in the database of one name only, and refuses the name that this one has until the swap. */
export function isBoundToDatabase({ item, message, detail, code }: RefusedItem): boolean {
  return (
    item.type === "EXTENSION" && code !== "42501" && /\bdatabase\b/i.test(`${message} ${detail}`)
  );
}

function wordsOf(error: unknown): Pick<RefusedItem, "message" | "detail" | "missingRole"> {
  const { message, detail, hint, routine } = error as pg.DatabaseError;
  const missingRole = ROLE_LOOKUP.test(routine ?? "")
    ? (/["\u00ab\u2018\u201c\u201e](.+)["\u00bb\u2019\u201c\u201d]/.exec(message)?.[1] ?? null)
    : null;
  return { message, detail: [detail, hint].filter(Boolean).join(" "), missingRole };
}

const SHOWN = 5;

/**
 * @throws Problem that names what will be refused and what helps against it
 */
export function requireAccepted(
  refused: readonly RefusedItem[],
  {
    inBackup,
    partial,
    wayOut: way,
  }: { readonly inBackup: boolean; readonly partial: boolean; readonly wayOut: string },
): void {
  if (refused.length === 0) return;
  const roles = new Set(refused.flatMap(({ missingRole }) => missingRole ?? []));
  if (roles.size > 0) throw missingRolesProblem([...roles].sort(), { inBackup });
  const causes = rootsOf(refused);
  const shown = causes.slice(0, SHOWN).map(({ item, message, detail }) => {
    const more = detail === "" ? "" : `. ${detail.replace(/\.$/, "")}`;
    return `${describeItem(item)}: ${message}${more}`;
  });
  const more = causes.length > SHOWN ? `; and ${causes.length - SHOWN} more` : "";
  const remedies = new Set(
    causes.map((cause) => remedyFor(cause, partial)).filter((remedy) => remedy !== ""),
  );
  throw new Problem(
    `this server refuses a part of the backup, which was tried without rows: ${shown.join("; ")}${more}. Nothing was loaded. ${[...remedies].join(" ")}${remedies.size > 0 ? " " : ""}${way}`,
  );
}

/** Only the refusals that do not follow from another one. */
function rootsOf(refused: readonly RefusedItem[]): readonly RefusedItem[] {
  const failed = new Set(refused.map(({ item }) => item.id));
  const roots = refused.filter(
    ({ item, code }) => !(CONSEQUENCE.test(code) && item.needs.some((id) => failed.has(id))),
  );
  return roots.length > 0 ? roots : refused;
}

function remedyFor({ item, code }: RefusedItem, partial: boolean): string {
  if (code === "42501") {
    return "Restore as a superuser, or as a role with the rights that are named; --no-owner leaves owners and grants out.";
  }
  if (item.type === "EXTENSION") {
    return "Use the database image, and its settings, that the backup was made with.";
  }
  if (CONSEQUENCE.test(code)) {
    return partial
      ? "The backup does not hold what these need: see PGDUMP_EXTRA_OPTS (dumpOptions), which leaves things out."
      : "A function that names a table without its schema works only with the application's search_path; in the database that is backed up, ALTER FUNCTION ... SET search_path = public makes it work everywhere.";
  }
  return "";
}

/** How the data is got out all the same, as the end of a sentence about a failure. */
export function wayOut(into: string): string {
  return `To get out all that can be loaded: restore --into ${into} --keep-going, which lists every statement that fails.`;
}
