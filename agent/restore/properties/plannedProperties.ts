import type pg from "pg";
import type { DatabaseProperties, Manifest } from "../../../common/contracts/manifest.ts";
import type { Decoder } from "../../archive/decode.ts";
import { readProperties } from "../../postgres/databaseProperties.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { readRoles } from "../checks/requiredRoles.ts";
import type { Choice } from "../choice.ts";
import type { NotRestored } from "../notRestored.ts";
import { readArchiveProperties } from "./archiveProperties.ts";
import { chooseProperties, onlyGivable } from "./propertySource.ts";
import { describeLocale, requireLocale, withServerLocale } from "./serverLocale.ts";

export interface PropertyRequest extends Choice {
  readonly decoder: Decoder;
  /** Takes the server's own encoding and locale. */
  readonly serverLocale: boolean;
  /** Roles that will be made first. */
  readonly plannedRoles: readonly string[];
  /** Whose everything will be, without grants; null: as the backup, or the live database, has it. */
  readonly ownership: { readonly role: string | null } | null;
  /** The live database is not replaced: without owners the new one need not be the live one's owner's either. */
  readonly beside: boolean;
  readonly notRestored: NotRestored;
}

export interface PlannedProperties {
  /** Null: nothing is known of the one that was backed up, and there is no live one; the server's defaults then. */
  readonly model: DatabaseProperties | null;
  /** The live database's properties count, and that one is replaced. */
  readonly followsLive: boolean;
}

/**
 * Decides which owner, encoding, locale, settings and privileges the restored database gets, and notes what of the backup's
 * this server cannot give.
 * @throws Problem when the server cannot give the encoding or the locale
 */
export async function planProperties(
  context: AgentContext,
  maintenance: pg.Client,
  request: PropertyRequest,
): Promise<PlannedProperties> {
  const { settings, report } = context;
  const { entry, manifest, decoder, ownership, notRestored, plannedRoles } = request;
  const name = settings.postgres.database;
  const live = await readProperties(maintenance, name);
  const { origin, model } = await chooseProperties(maintenance, settings.postgres, {
    current: live && { name, properties: live },
    manifest,
    declared: isComplete(manifest)
      ? undefined
      : await readArchiveProperties(context, entry.key, decoder),
  });
  if (model === null) return { model, followsLive: false };
  const roles = new Set([...(await readRoles(maintenance)), ...plannedRoles]);
  const followsLive = origin === "live" && !request.beside;
  const owned = await withOwnership(maintenance, model, { ownership, isLive: followsLive });
  const givable = await onlyGivable(maintenance, owned, { roles, notRestored });
  if (live !== null && describeLocale(live) === describeLocale(givable)) {
    return { model: givable, followsLive };
  }
  if (request.serverLocale) {
    return { model: await withServerLocale(maintenance, givable, notRestored), followsLive };
  }
  await requireLocale(maintenance, givable);
  if (live !== null) {
    report.warn(
      `"${name}" has ${describeLocale(live)} now; the restored database has that of the backup: ${describeLocale(givable)}.`,
    );
  }
  return { model: givable, followsLive };
}

/**
 * The same as they are now: a restore takes hours, and what was changed at the live database meanwhile must not be lost with it.
 * @param owner whose everything will be; undefined: the live one's
 */
export async function withLiveChanges(
  maintenance: pg.Client,
  { model, followsLive }: PlannedProperties,
  database: string,
  owner: string | undefined,
): Promise<DatabaseProperties | null> {
  if (model === null || !followsLive) return model;
  const live = await readProperties(maintenance, database);
  if (live === null) return model;
  const { settings, acl, comment, labels, connectionLimit, isTemplate, allowConnections } = live;
  return {
    ...model,
    ...{ settings, acl, comment, labels, connectionLimit, isTemplate, allowConnections },
    owner: owner ?? live.owner,
  };
}

/** Nothing has to be looked up in the archive. */
function isComplete(manifest: Manifest | null): boolean {
  const properties = manifest?.properties;
  if (properties?.comment === undefined || properties.labels === undefined) return false;
  const { settings, labels } = properties;
  return (
    settings.every(({ value }) => value !== undefined) &&
    labels.every(({ label }) => label !== undefined)
  );
}

/** Where owners are left out, a new database belongs to whom everything in it will belong, and has no grants either. */
async function withOwnership(
  maintenance: pg.Client,
  model: DatabaseProperties,
  {
    ownership,
    isLive,
  }: { readonly ownership: PropertyRequest["ownership"]; readonly isLive: boolean },
): Promise<DatabaseProperties> {
  if (ownership === null) return model;
  if (isLive) return ownership.role === null ? model : { ...model, owner: ownership.role };
  const { rows } = await maintenance.query<{ me: string }>("SELECT current_user AS me");
  const owner = ownership.role ?? rows[0]?.me ?? model.owner;
  return { ...model, owner, acl: null, settings: model.settings.filter(({ role }) => !role) };
}
