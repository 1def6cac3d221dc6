import type pg from "pg";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import { messageOf, Problem } from "../../../common/problem.ts";
import { readProperties } from "../../postgres/databaseProperties.ts";
import { literal } from "../../postgres/identifiers.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import type { NotRestored } from "../notRestored.ts";

export type Locale = Pick<
  DatabaseProperties,
  "encoding" | "localeProvider" | "collate" | "ctype" | "locale" | "icuRules"
>;

/** How people who want it all the same say so. */
const OPTION = "--server-locale";
/**
 * Invalid parameter value, wrong object type, undefined object, feature not supported, invalid object definition, unknown word: what
 * createdb and pg_newlocale_from_collation of PostgreSQL 15 to 18 answer for a locale that is not there, or does not go with
 * the encoding.
 */
const LOCALE_ERRORS = new Set(["22023", "42809", "42704", "0A000", "42P17", "42601"]);

/** Whether a failed CREATE DATABASE is to be explained by its locale. */
export function isLocaleError(error: unknown): boolean {
  return LOCALE_ERRORS.has(errorCode(error) ?? "");
}

/** The encoding and locale of a database, in words: `UTF8 with the ICU locale de-DE`. */
export function describeLocale(of: Locale): string {
  const { encoding, localeProvider, collate, ctype, locale, icuRules } = of;
  const libc = collate === ctype ? collate : `${collate} (sorting) and ${ctype} (characters)`;
  if (localeProvider === "libc") return `${encoding} with the locale ${libc}`;
  const provider = localeProvider === "icu" ? "ICU" : localeProvider;
  const rules = icuRules === null ? "" : ` and rules of its own`;
  return `${encoding} with the ${provider} locale ${locale}${rules}`;
}

/** The refusal that names both sides. */
export async function localeProblem(
  client: pg.Client,
  wanted: Locale,
  error: unknown,
): Promise<Problem> {
  const own = await readProperties(client, "template0");
  const why = messageOf(error);
  return new Problem(
    `the database that was backed up has ${describeLocale(wanted)}, and this server cannot make such a one (${why}); its own databases have ${own === null ? "others" : describeLocale(own)}. With another encoding or locale text may be damaged, or sort and compare differently. Use a server, or an image, that has this locale, or add ${OPTION} to take the server's all the same. Nothing was changed.`,
    { cause: error },
  );
}

/**
 * Finds out whether a database with this encoding and locale can be made, without making one.
 * @throws Problem when the server says that it cannot. Where it cannot be asked, making the database will show it
 */
export async function requireLocale(client: pg.Client, wanted: Locale): Promise<void> {
  const { rows } = await client.query<{ encoding: string }>(
    "SELECT getdatabaseencoding() AS encoding",
  );
  // A collation is made for the encoding of the database that one is connected to.
  if (rows[0]?.encoding !== wanted.encoding) return;
  const tries = [
    `provider = libc, lc_collate = ${literal(wanted.collate)}, lc_ctype = ${literal(wanted.ctype)}`,
    ...(wanted.localeProvider === "libc"
      ? []
      : [
          `provider = ${wanted.localeProvider}, locale = ${literal(wanted.locale ?? "")}${
            wanted.icuRules === null ? "" : `, rules = ${literal(wanted.icuRules)}`
          }`,
        ]),
  ];
  for (const definition of tries) {
    const error = await tryCollation(client, definition);
    if (isLocaleError(error)) throw await localeProblem(client, wanted, error);
    // Not allowed to, for instance.
    if (error !== undefined && errorCode(error)?.length !== 5) throw error;
  }
}

async function tryCollation(client: pg.Client, definition: string): Promise<unknown> {
  await client.query("BEGIN");
  try {
    await client.query(`CREATE COLLATION pg_temp.kamal_postgres_backup (${definition})`);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await client.query("ROLLBACK");
  }
}

/** The same database with the server's own locale, which is noted; the encoding stays where it goes with that. */
export async function withServerLocale<T extends Locale>(
  client: pg.Client,
  wanted: T,
  notRestored: NotRestored,
): Promise<T> {
  const own = await readProperties(client, "template0");
  if (own === null) return wanted;
  const { localeProvider, collate, ctype, locale, icuRules } = own;
  const anyEncoding =
    localeProvider === "libc" && [collate, ctype].every((name) => /^(?:C|POSIX)$/.test(name));
  const encoding = anyEncoding ? wanted.encoding : own.encoding;
  const given = { encoding, localeProvider, collate, ctype, locale, icuRules };
  if (describeLocale(given) !== describeLocale(wanted)) {
    notRestored.add(
      `the encoding and locale of the database: it had ${describeLocale(wanted)} and has ${describeLocale(given)}, so that text may sort and compare in another way`,
    );
  }
  return { ...wanted, ...given };
}
