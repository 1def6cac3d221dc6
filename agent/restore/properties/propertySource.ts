import type pg from "pg";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import type { DatabaseProperties, Manifest } from "../../../common/contracts/manifest.ts";
import { connect } from "../../postgres/connection.ts";
import type { ExistingDatabase } from "../../postgres/databaseProperties.ts";
import { identifier } from "../../postgres/identifiers.ts";
import { readSystemIdentifier } from "../../postgres/snapshot.ts";
import type { NotRestored } from "../notRestored.ts";
import { labelName, settingName } from "./propertyNames.ts";

/** Why a restored database gets the properties that it gets. */
export type Origin =
  /** The live database is the one that was backed up, and may have changed since. */
  | "live"
  /** There is no live one, it is empty, or of another server. */
  | "backup"
  /** Nothing says anything: those of the server. */
  | "server";

export interface ChosenProperties {
  readonly origin: Origin;
  /** Null with `server`. */
  readonly model: DatabaseProperties | null;
}

/**
 * Chooses between the live database's properties and those of the backup. The live one's count only where it is the database
 * that was backed up; its text is in the backup's encoding and sorted by the backup's locale in any case.
 * @param current the live database; null: there is none
 * @param declared what the archive says of its database
 */
export async function chooseProperties(
  maintenance: pg.Client,
  settings: ServerSettings,
  {
    current,
    manifest,
    declared,
  }: {
    readonly current: { readonly name: string; readonly properties: ExistingDatabase } | null;
    readonly manifest: Manifest | null;
    readonly declared: DatabaseProperties | undefined;
  },
): Promise<ChosenProperties> {
  const stored = storedProperties(manifest, declared);
  if (stored === undefined) {
    return current === null
      ? { origin: "server", model: null }
      : { origin: "live", model: current.properties };
  }
  if (
    current === null ||
    (await isOtherServer(maintenance, manifest)) ||
    (await isEmpty(settings, current.name))
  ) {
    return { origin: "backup", model: stored };
  }
  const { encoding, localeProvider, collate, ctype, locale, icuRules } = stored;
  const { oid: _, ...live } = current.properties;
  const model = { ...live, encoding, localeProvider, collate, ctype, locale, icuRules };
  return { origin: "live", model };
}

/** The manifest's, which are text in any case, completed from the archive: of an encrypted backup only that has it all. */
function storedProperties(
  manifest: Manifest | null,
  declared: DatabaseProperties | undefined,
): DatabaseProperties | undefined {
  const recorded = manifest?.properties;
  if (recorded === undefined) return declared;
  const settings = recorded.settings.map(({ role, name, value }) => {
    const same = declared?.settings.find((other) => other.role === role && other.name === name);
    const known = value ?? same?.value;
    return { role, name, ...(known !== undefined && { value: known }) };
  });
  const comment = recorded.comment === undefined ? declared?.comment : recorded.comment;
  const isWhole = recorded.labels?.every(({ label }) => label !== undefined) === true;
  const labels = isWhole ? recorded.labels : (declared?.labels ?? recorded.labels);
  return {
    ...recorded,
    settings,
    ...(comment !== undefined && { comment }),
    ...(labels && { labels }),
  };
}

async function isOtherServer(client: pg.Client, manifest: Manifest | null): Promise<boolean> {
  const before = manifest?.server.systemIdentifier ?? null;
  const now = await readSystemIdentifier(client);
  return before !== null && now !== null && before !== now;
}

/** As an image makes it for POSTGRES_DB: nothing in it that somebody made. */
async function isEmpty(settings: ServerSettings, database: string): Promise<boolean> {
  const client = await connect(settings, database).catch(() => undefined);
  // One that takes no connection is not known to be empty.
  if (client === undefined) return false;
  try {
    const { rows } = await client.query<{ used: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
                        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                                        AND d.objid = c.oid AND d.deptype = 'e')) AS used`,
    );
    return rows[0]?.used === false;
  } finally {
    await client.end();
  }
}

/**
 * Takes out what this server cannot give, and notes each: roles and a tablespace that it lacks, settings that it does not
 * know, and what could not be read.
 * @param roles those that the server has or will have
 */
export async function onlyGivable(
  client: pg.Client,
  model: DatabaseProperties,
  {
    roles,
    notRestored,
  }: { readonly roles: ReadonlySet<string>; readonly notRestored: NotRestored },
): Promise<DatabaseProperties> {
  const { rows } = await client.query<{
    me: string;
    tablespaces: string[];
    parameters: string[];
  }>(
    `SELECT current_user AS me, ARRAY(SELECT spcname::text FROM pg_tablespace) AS tablespaces,
            ARRAY(SELECT lower(name) FROM pg_settings) AS parameters`,
  );
  const { me = "", tablespaces = [], parameters = [] } = rows[0] ?? {};
  const lacking = (role: string) => `this server has no role "${role}"`;
  const refuse = (what: string, why: string) => notRestored.add(`${what}: ${why}`);
  let { owner, tablespace } = model;
  if (!roles.has(owner)) {
    refuse("the owner of the database", `${lacking(owner)}, so it belongs to "${me}"`);
    owner = me;
  }
  if (!tablespaces.includes(tablespace)) {
    refuse("the database's tablespace", `this server has none that is called "${tablespace}"`);
    tablespace = "pg_default";
  }
  const acl =
    model.acl?.filter(({ grantee, privilege }) => {
      if (grantee === null || roles.has(grantee)) return true;
      if (grantee !== model.owner) {
        refuse(`${privilege} on the database for "${grantee}"`, lacking(grantee));
      }
      return false;
    }) ?? null;
  const settings = model.settings.filter(({ role, name, value }) => {
    const what = settingName({ role, name });
    if (role !== null && !roles.has(role)) refuse(what, lacking(role));
    else if (!name.includes(".") && !parameters.includes(name.toLowerCase())) {
      refuse(what, "this server does not know it");
    } else if (value === undefined || value.includes("\ufffd")) {
      refuse(what, "its value is not readable in the backup");
    } else return true;
    return false;
  });
  let { comment } = model;
  if (comment?.includes("\ufffd")) {
    refuse("the comment of the database", "it is not readable in the backup");
    comment = null;
  }
  const labels: NonNullable<DatabaseProperties["labels"]> = [];
  for (const one of model.labels ?? []) {
    const what = labelName(one);
    if (one.label === undefined || one.label.includes("\ufffd")) {
      refuse(what, "it is not readable in the backup");
    } else if (!(await isLoaded(client, one.provider))) {
      refuse(what, "that provider is not loaded on this server");
    } else labels.push(one);
  }
  return {
    ...model,
    ...{ owner, tablespace, acl, settings },
    ...(comment !== undefined && { comment }),
    labels,
  };
}

/** No catalogue says it: a label is tried, and taken back. What else speaks against it is said when it is given. */
async function isLoaded(client: pg.Client, provider: string): Promise<boolean> {
  const { rows } = await client.query<{ name: string }>("SELECT current_database() AS name");
  const database = identifier(rows[0]?.name ?? "");
  await client.query("BEGIN");
  try {
    await client.query(
      `SECURITY LABEL FOR ${identifier(provider)} ON DATABASE ${database} IS NULL`,
    );
    return true;
  } catch (error) {
    // invalid_parameter_value (PostgreSQL's src/backend/commands/seclabel.c)
    return (error as { readonly code?: string }).code !== "22023";
  } finally {
    await client.query("ROLLBACK");
  }
}
