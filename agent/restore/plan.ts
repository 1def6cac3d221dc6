import { availableParallelism } from "node:os";
import type pg from "pg";
import type { DatabaseProperties, Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { type ArchiveContents, describeItem, readContents } from "../archive/contents.ts";
import { type Decoder, dumpDecoder } from "../archive/decode.ts";
import { type IndexedArchive, openIndexed } from "../archive/indexedArchive.ts";
import { requireNoBackup } from "../postgres/advisoryLock.ts";
import { type ExistingDatabase, readProperties } from "../postgres/databaseProperties.ts";
import { compactStamp, siblingName } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { LONGEST_LIMIT_HOURS } from "../runtime/signals.ts";
import { type Occupant, requireRenamable } from "./checks/occupants.ts";
import { noteLeftOut, requireWholeBackup } from "./checks/partial.ts";
import { wayOut } from "./checks/rehearsal.ts";
import { noteSlots, noteSubscriptions } from "./checks/replication.ts";
import { noteOtherVersions, requireExtensions } from "./checks/requiredExtensions.ts";
import { missingRoles, missingRolesProblem, readRoles } from "./checks/requiredRoles.ts";
import { quoted, type Requirements, requirementsOf, rolesNamedIn } from "./checks/requirements.ts";
import { requireRights } from "./checks/rights.ts";
import { requireFreeSpace } from "./checks/space.ts";
import { requireVersions } from "./checks/versions.ts";
import { type Choice, chooseFor, type RestoreRequest } from "./choice.ts";
import { defaultJobs } from "./load/parts/jobs.ts";
import { EVERYTHING, rowsElsewhere, type Selection, select } from "./load/selection.ts";
import { defaultTablespace } from "./newDatabase.ts";
import { NotRestored } from "./notRestored.ts";
import { freeName } from "./properties/databaseProperties.ts";
import { planProperties } from "./properties/plannedProperties.ts";
import { planRoles, type RolePlan } from "./roles.ts";

/** What a restore will do, decided and checked before it does anything. */
export interface Plan extends Choice {
  /** The name that the restored database will have. */
  readonly database: string;
  /** The name that it has until it is checked. */
  readonly temporaryName: string;
  /** The database that has that name today; null: there is none. */
  readonly live: ExistingDatabase | null;
  /**
   * The owner, locale and settings that the new database gets: the live one's, also when it is restored beside it, where
   * that is the database that was backed up, else the backup's. Null: the server's defaults.
   */
  readonly model: DatabaseProperties | null;
  /** The live database's properties count, and that one is replaced. */
  readonly followsLive: boolean;
  /** The name under which the live database will stay. */
  readonly previousName: string;
  /** Workers of extensions that the swap will end. */
  readonly workers: readonly Occupant[];
  /** How the object is decoded; its secret was tried. */
  readonly decoder: Decoder;
  /** Reads any part of the archive, for several connections at once; or why it is read whole. */
  readonly parts: IndexedArchive | { readonly whole: string };
  /** Folder to unpack the archive in; undefined: it is not unpacked. */
  readonly scratch: string | undefined;
  /** Connections that load at once. */
  readonly jobs: number;
  /** What the archive holds; undefined: its table of contents cannot be read, which the restore itself will explain. */
  readonly contents: ArchiveContents | undefined;
  /** What of it is restored. */
  readonly selection: Selection;
  /** Goes on after an error. */
  readonly keepGoing: boolean;
  /** Whose everything will be; null: as the archive has it. */
  readonly ownership: { readonly role: string | null } | null;
  /** Roles that will be made first; null: not asked for. */
  readonly roles: RolePlan | null;
  /** What is not brought back: as far as it is known when the plan is made, and then whatever else turns up. */
  readonly notRestored: NotRestored;
  /** The restore is stopped when it takes longer. */
  readonly limitHours: number;
  /** How the data is got out where this restore fails, as a sentence. */
  readonly wayOut: string;
}

/**
 * Chooses the backup and the names, and refuses what cannot work. Makes nothing.
 * @throws Problem
 */
export async function makePlan(
  outer: AgentContext,
  maintenance: pg.Client,
  request: RestoreRequest,
): Promise<Plan> {
  const { settings } = outer;
  const { into, keepGoing = false } = request;
  const { database } = settings.postgres;
  if (into === "") {
    throw new Problem("--into has no name. Give the new database one: --into NAME");
  }
  const finalName = into ?? database;
  const live = await readProperties(maintenance, finalName);
  if (into !== undefined && live !== null) {
    throw new Problem(
      `database "${into}" exists already; --into makes a new one. Give another name, or drop it first.`,
    );
  }
  requireWholeOrWord(request, live !== null);
  const ownership = await ownershipOf(maintenance, request);
  const { entry, manifest, store } = await chooseFor(outer, request);
  const context = { ...outer, store };
  await requireVersions(maintenance, manifest);
  if (live !== null) await requireNoBackup(maintenance, finalName);
  const workers = live === null ? [] : await requireRenamable(maintenance, finalName);
  if (request.scratch !== undefined) {
    const grows = manifest?.compression === "zstd";
    const needed = scratchBytes(entry, manifest);
    const warning = await requireFreeSpace(request.scratch, needed, grows);
    if (warning !== null) context.report.warn(warning);
  }
  const stored = await dumpDecoder(store, entry, manifest, request.secrets);
  const parts =
    request.scratch === undefined && !keepGoing
      ? await openIndexed(context, { entry, manifest }, stored)
      : { whole: keepGoing ? "--keep-going goes through it in order" : "it is unpacked first" };
  const decoder = "toc" in parts ? { ...stored, toc: parts.toc.bytes } : stored;
  const jobs =
    request.jobs ?? (request.scratch === undefined ? defaultJobs() : availableParallelism());
  const contents = await readContents(context, entry.key, decoder, {
    withOwners: ownership === null,
  });
  const roles =
    request.globals === true
      ? await planRoles(context, maintenance, manifest, {
          secrets: request.secrets,
          allowed: request.allowPrivilegedRoles === true,
          needed: contents && neededRoles(manifest, contents),
        })
      : null;
  const notRestored = new NotRestored();
  noteLeftOut(manifest, notRestored);
  if (live !== null && request.allowIncomplete !== true) {
    await requireWholeBackup(settings.postgres, finalName, manifest);
  }
  const { model, followsLive } = await planProperties(context, maintenance, {
    ...{ entry, store, manifest, decoder, ownership, notRestored },
    serverLocale: request.serverLocale === true,
    beside: into !== undefined,
    plannedRoles: roles?.names ?? [],
  });
  await requireRights(maintenance, {
    owner: model?.owner ?? ownership?.role ?? null,
    tablespace:
      model === null || model.tablespace === (await defaultTablespace(maintenance))
        ? null
        : model.tablespace,
    replaced: live === null ? null : { name: finalName, owner: live.owner },
    // Beside the one that holds the lock: what compares, ANALYZE, pg_dump and a look at the server; or pg_restore's jobs and the look.
    connections: Math.max(5, "toc" in parts || request.scratch !== undefined ? jobs + 3 : 0),
  });
  const selection = await selectionFor(context, maintenance, contents, {
    request,
    manifest,
    ownership,
    planned: roles?.names ?? [],
    notRestored,
  });
  const previousName = await freeName(maintenance, finalName, "before", new Date());
  if (live !== null) {
    await noteSlots(maintenance, { database: finalName, previousName }, notRestored);
  }
  noteSubscriptions(contents, selection.leftOut, { beside: into !== undefined, notRestored });
  return {
    entry,
    manifest,
    store,
    database: finalName,
    temporaryName: siblingName(finalName, "restore", compactStamp(new Date(`${entry.stamp}Z`))),
    live,
    model,
    followsLive,
    previousName,
    workers,
    decoder,
    parts,
    jobs,
    scratch: request.scratch,
    contents,
    selection,
    keepGoing,
    ownership,
    roles,
    notRestored,
    limitHours: request.maxHours ?? defaultLimitHours(entry, manifest),
    wayOut: wayOut(/^\w{1,50}$/.test(database) ? `${database}_saved` : "NAME"),
  };
}

/**
 * A day; of a large database more, so that none is stopped that goes on: less than 10 GB in an hour, 3 MB/s, is no disk's speed.
 * Of a backup without manifest only the size as it is stored is known, which is a tenth of the database's or more.
 */
export function defaultLimitHours(
  { bytes }: Pick<CatalogueEntry, "bytes">,
  manifest: Pick<Manifest, "databaseBytes"> | null,
): number {
  const hours = Math.ceil((manifest?.databaseBytes ?? 10 * bytes) / 10e9);
  return Math.min(Math.max(24, hours), LONGEST_LIMIT_HOURS);
}

/** Roles that the backup's objects, or the database itself, name. */
function neededRoles(manifest: Manifest | null, contents: ArchiveContents): Set<string> {
  return new Set([...requirementsOf(contents).roles, ...(manifest?.roles ?? [])]);
}

/** Less than the whole takes the live database's place only when that was said. */
function requireWholeOrWord(request: RestoreRequest, replaces: boolean): void {
  const { into, keepGoing, allowIncomplete, schema = [], table = [], excludeTable = [] } = request;
  if (into === undefined && table.length > 0) {
    throw new Problem(
      `--table ${table[0]} restores single tables, which never take the live database's place. Add --into NAME for a new database of that name.`,
    );
  }
  if (into !== undefined || allowIncomplete === true) return;
  if (keepGoing === true) {
    throw new Problem(
      "--keep-going restores what can be loaded, so give it a new database: --into NAME. With --allow-incomplete it takes the live database's place. Nothing was changed.",
    );
  }
  if (!replaces || schema.length + excludeTable.length === 0) return;
  throw new Problem(
    "--schema and --exclude-table restore a part, which would take the place of the whole live database. Add --into NAME to restore the part beside it, or --allow-incomplete to replace it. Nothing was changed.",
  );
}

async function ownershipOf(
  maintenance: pg.Client,
  { noOwner, role }: RestoreRequest,
): Promise<Plan["ownership"]> {
  if (role === undefined) return noOwner === true ? { role: null } : null;
  if ((await readRoles(maintenance)).has(role)) return { role };
  throw new Problem(
    `--role ${role}: this server has no such role. Create it first: CREATE ROLE. Nothing was changed.`,
  );
}

/** Only an archive inside zstd grows when it is unpacked, to the size of the database at most. */
function scratchBytes({ bytes }: CatalogueEntry, manifest: Manifest | null): number {
  return manifest?.compression === "zstd" ? manifest.databaseBytes : bytes;
}

/** What is restored, and whether the server has what it needs. */
async function selectionFor(
  { report }: AgentContext,
  maintenance: pg.Client,
  contents: ArchiveContents | undefined,
  {
    request,
    manifest,
    ownership,
    planned,
    notRestored,
  }: {
    readonly request: RestoreRequest;
    readonly manifest: Manifest | null;
    readonly ownership: Plan["ownership"];
    readonly planned: readonly string[];
    readonly notRestored: NotRestored;
  },
): Promise<Selection> {
  const { keepGoing, schema, table, excludeTable, schemaOnly = false } = request;
  if (contents === undefined) {
    if (!schemaOnly) return EVERYTHING;
    throw new Problem(
      "--schema-only: the backup's table of contents cannot be read, so rows cannot be left out.",
    );
  }
  const selection = select(contents, {
    ...(schema && { schemas: schema }),
    ...(table && { tables: table }),
    ...(excludeTable && { excludeTables: excludeTable }),
    schemaOnly,
  });
  // Of one table that was asked for, nobody needs to hear which others there are.
  for (const name of table === undefined ? selection.tables : [])
    notRestored.add(`table ${name}, which was left out`);
  for (const item of selection.alongWith) {
    notRestored.add(`${item}, which needs what was left out`);
  }
  const items = contents.items.filter(({ id }) => !selection.leftOut.has(id));
  const needs = requirementsOf({
    items,
    largeObjectOwners: ownership === null ? contents.largeObjectOwners : new Set(),
  });
  const missing = await missingRoles(maintenance, needs, { planned });
  const inBackup = (manifest?.globals ?? null) !== null;
  const leftOut = new Set(selection.leftOut);
  for (const { id, table } of schemaOnly ? [] : rowsElsewhere(contents)) {
    if (leftOut.has(id)) continue;
    leftOut.add(id);
    notRestored.add(
      `the rows of the foreign table ${table}, which a restore would write to its server`,
    );
  }
  if (ownership !== null) {
    const { role } = ownership;
    notRestored.add(
      `owners and grants: everything belongs to ${role === null ? "the role of the connection" : `"${role}"`}`,
    );
    for (const item of items) {
      const lacking = rolesNamedIn(item).filter((name) => missing.includes(name));
      if (lacking.length === 0) continue;
      leftOut.add(item.id);
      notRestored.add(`${describeItem(item)}, which is for ${quoted(lacking)}`);
    }
  } else if (missing.length > 0 && keepGoing === true) {
    report.warn(
      `this server does not have the roles ${quoted(missing)}: what is theirs, or granted to them, is among the statements that fail.`,
    );
  } else if (missing.length > 0) {
    throw missingRolesProblem(missing, { inBackup });
  }
  if (keepGoing !== true) await requireExtensions(maintenance, needs);
  await noteOtherVersions(maintenance, { manifest, needs, notRestored });
  return {
    ...selection,
    leftOut,
    tablespaces: await hasTablespaces(maintenance, needs, notRestored),
  };
}

/** Whether the server has every tablespace that the archive names. Notes those that it lacks. */
async function hasTablespaces(
  maintenance: pg.Client,
  { tablespaces }: Requirements,
  notRestored: NotRestored,
): Promise<boolean> {
  const { rows } = await maintenance.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT spcname FROM pg_tablespace) ORDER BY 1",
    [[...tablespaces]],
  );
  if (rows.length === 0) return true;
  notRestored.add(
    `the tablespaces of tables and indexes, which lie where the database does: this server has none that is called ${quoted(rows.map(({ name }) => name))}`,
  );
  return false;
}
