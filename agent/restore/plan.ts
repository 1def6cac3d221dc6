import type pg from "pg";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { listBackups } from "../../storage/catalogue/catalogue.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import { chooseBackup } from "../../storage/catalogue/selectBackup.ts";
import { warnOfChoice } from "../archive/chosenBackup.ts";
import { type Decoder, dumpDecoder } from "../archive/decode.ts";
import { queryToc } from "../archive/tocReader.ts";
import { requireNoBackup } from "../postgres/advisoryLock.ts";
import { readClientVersion, readServer } from "../postgres/connection.ts";
import { compactStamp, siblingName } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { type DatabaseProperties, freeName, readProperties } from "./databaseProperties.ts";
import {
  parseRequirements,
  REQUIREMENTS_WORDS,
  requireExtensions,
  requireRoles,
} from "./requirements.ts";
import { planRoles, type RolePlan } from "./roles.ts";
import { requireFreeSpace } from "./scratch.ts";

/** What a restore will do, decided and checked before it does anything. */
export interface Plan {
  readonly entry: CatalogueEntry;
  /** Null for the old image's objects. */
  readonly manifest: Manifest | null;
  /** The name that the restored database will have. */
  readonly database: string;
  /** The name that it has until it is checked. */
  readonly temporaryName: string;
  /** The database that has that name today; null: there is none. */
  readonly live: DatabaseProperties | null;
  /** Whose owner, locale and settings the new database gets: the live one, also when it is restored beside it. */
  readonly model: DatabaseProperties | null;
  /** The name under which the live database will stay. */
  readonly previousName: string;
  /** How the object is decoded; its secret was tried. */
  readonly decoder: Decoder;
  /** Roles that will be made first; null: not asked for. */
  readonly roles: RolePlan | null;
}

/** What a restore was asked for. */
export interface RestoreRequest {
  /** `latest` or the stamp of a backup, as `list` shows it. */
  readonly wanted: string;
  /** With `latest`: the latest that was taken at this time or before, ISO 8601; without a zone it is UTC. */
  readonly notAfter?: string;
  /** Name of a new database to restore into, beside the live one; absent: the live one is replaced. */
  readonly into?: string;
  /** Makes the roles of the backup that the server lacks. @default false */
  readonly globals?: boolean;
  /** Folder for the unpacked archive, so that it is restored by several connections at once; absent: streamed. */
  readonly scratch?: string;
  /** What may open an encrypted backup. */
  readonly secrets: AgeSecrets;
}

/**
 * Chooses the backup and the names, and refuses what cannot work. Makes nothing.
 * @throws Problem
 */
export async function makePlan(
  context: AgentContext,
  maintenance: pg.Client,
  request: RestoreRequest,
): Promise<Plan> {
  const { settings, store } = context;
  const { into } = request;
  const { database } = settings.postgres;
  const finalName = into ?? database;
  const live = await readProperties(maintenance, finalName);
  if (into !== undefined && live !== null) {
    throw new Problem(
      `database "${into}" exists already; --into makes a new one. Give another name, or drop it first.`,
    );
  }
  const { entry, manifest } = await chooseFor(context, request);
  await requireVersions(maintenance, manifest);
  if (live !== null) await requireNoBackup(maintenance, finalName);
  if (request.scratch !== undefined) {
    await requireFreeSpace(request.scratch, scratchBytes(entry, manifest));
  }
  const decoder = await dumpDecoder(store, entry, manifest, request.secrets);
  const roles =
    request.globals === true
      ? await planRoles(context, maintenance, manifest, request.secrets)
      : null;
  await checkServerRequirements(context, maintenance, { entry, manifest, decoder, roles });
  return {
    entry,
    manifest,
    database: finalName,
    temporaryName: siblingName(finalName, "restore", compactStamp(new Date(`${entry.stamp}Z`))),
    live,
    model: live ?? (await readProperties(maintenance, database)),
    previousName: await freeName(maintenance, finalName, "before", new Date()),
    decoder,
    roles,
  };
}

async function chooseFor({ settings, store, report }: AgentContext, request: RestoreRequest) {
  const { database } = settings.postgres;
  const { bucket, prefix } = store.address;
  const location = `s3://${bucket}/${prefix}`;
  const all = await listBackups(store, database);
  const { wanted, notAfter } = request;
  const entry = chooseBackup(all, wanted, database, location, store.address.names, notAfter);
  warnOfChoice(report, all, entry, wanted);
  return { entry, manifest: entry.kind === "legacy" ? null : await readManifest(store, entry) };
}

/** Only an archive inside zstd grows when it is unpacked, to the size of the database at most. */
function scratchBytes({ bytes }: CatalogueEntry, manifest: Manifest | null): number {
  return manifest?.compression === "zstd" ? manifest.databaseBytes : bytes;
}

/** A table of contents that cannot be read is left to the restore: it reads the whole object and finds what is wrong. */
async function checkServerRequirements(
  context: AgentContext,
  maintenance: pg.Client,
  { entry, manifest, decoder, roles }: Pick<Plan, "entry" | "manifest" | "decoder" | "roles">,
): Promise<void> {
  const sql = await queryToc(context, entry.key, decoder, REQUIREMENTS_WORDS);
  if (sql === undefined) return;
  const needs = parseRequirements(sql);
  await requireRoles(maintenance, needs, {
    planned: roles?.names ?? [],
    inBackup: (manifest?.globals ?? null) !== null,
  });
  await requireExtensions(maintenance, needs);
}

async function requireVersions(maintenance: pg.Client, manifest: Manifest | null): Promise<void> {
  const server = await readServer(maintenance);
  const tool = await readClientVersion("pg_restore");
  // From 17 on it begins with SET transaction_timeout, which an older server does not know.
  if (tool.major >= 17 && server.major < 17) {
    throw new Problem(
      `this image has ${tool.line}, which cannot restore into PostgreSQL ${server.version}. Use the image built for PostgreSQL ${server.major}.`,
    );
  }
  if (manifest === null) return;
  if (server.major < manifest.server.major) {
    throw new Problem(
      `the backup is of PostgreSQL ${manifest.server.version}, this server runs ${server.version}. Restore into PostgreSQL ${manifest.server.major} or newer.`,
    );
  }
  const dumpMajor = Number(/(\d+)/.exec(manifest.pgDump)?.[1]);
  if (tool.major < dumpMajor) {
    throw new Problem(
      `the backup was made by ${manifest.pgDump}, this image has ${tool.line}. Use the image built for PostgreSQL ${dumpMajor} or newer.`,
    );
  }
}

/** Reports what will happen. */
export function announce(report: Report, plan: Plan): void {
  const { entry, manifest, database, live, previousName, roles } = plan;
  report.line(
    `Restoring "${database}" from ${entry.stamp} UTC (${formatBytes(entry.bytes)}, ${entry.key}).`,
  );
  report.line(
    live === null
      ? `There is no database "${database}" now; it appears when its content has been checked.`
      : `The current database stays as "${previousName}"; until the swap, which closes its connections for a moment, it is not touched.`,
  );
  if (roles !== null && roles.names.length > 0) {
    report.line(`Roles made first: ${roles.names.map((name) => `"${name}"`).join(", ")}.`);
  }
  if (manifest === null) {
    report.warn(
      `${entry.key} was written by the old image without a manifest: pg_restore's own result is checked, but there is nothing to compare the data with.`,
    );
  }
}
