import type pg from "pg";
import type { Secrets } from "../../common/age/stanzas.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { type CatalogueEntry, listBackups } from "../../storage/catalogue/catalogue.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import { chooseBackup, notAfter } from "../../storage/catalogue/selectBackup.ts";
import { openDump, type Unpacking } from "../archive/decode.ts";
import { readHead } from "../archive/tocReader.ts";
import { requireNoBackup } from "../postgres/advisoryLock.ts";
import { readClientVersion, readServer } from "../postgres/connection.ts";
import { besideName, compactStamp } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { type Report, readableBytes } from "../runtime/reporter.ts";
import { type DatabaseProperties, nameToKeep, readProperties } from "./databaseProperties.ts";
import {
  parseRequirements,
  REQUIREMENTS_QUESTION,
  requireExtensions,
  requireRoles,
} from "./requirements.ts";
import { planRoles, type RolePlan } from "./roles.ts";
import { requireRoom } from "./scratch.ts";

/** What a restore will do, settled and checked before it does anything. */
export interface Plan {
  readonly entry: CatalogueEntry;
  /** Null for the old image's objects. */
  readonly manifest: Manifest | null;
  /** The name that the restored database will have. */
  readonly target: string;
  /** The name that it has until it is checked. */
  readonly fresh: string;
  /** The database that has the target's name today. */
  readonly live: DatabaseProperties | null;
  /** What the new database is made like: the live one, also when it is restored beside it. */
  readonly like: DatabaseProperties | null;
  /** The name that the live database will get. */
  readonly before: string;
  /** How the object is read, its secret tried. */
  readonly unpacking: Unpacking;
  /** Roles that will be made first; null: not asked for. */
  readonly roles: RolePlan | null;
}

/** What a restore was asked for. */
export interface RestoreRequest {
  /** `latest` or the stamp of a backup, as `list` shows it. */
  readonly wanted: string;
  /** With `latest`: the newest that was taken at this time or before, ISO 8601; without a zone it is UTC. */
  readonly notAfter?: string;
  /** Name of a new database to restore into, beside the live one; absent: the live one is replaced. */
  readonly into?: string;
  /** Makes the roles of the backup that the server lacks. @default false */
  readonly globals?: boolean;
  /** Folder for the unpacked archive, so that it is restored by several connections at once; absent: streamed. */
  readonly scratch?: string;
  /** What may open an encrypted backup. */
  readonly secrets: Secrets;
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
  const target = into ?? database;
  const live = await readProperties(maintenance, target);
  if (into !== undefined && live !== null) {
    throw new Problem(
      `database "${into}" exists already; --into makes a new one. Give another name, or drop it first.`,
    );
  }
  const { entry, manifest } = await chooseFor(context, request);
  await requireVersions(maintenance, manifest);
  if (live !== null) await requireNoBackup(maintenance, target);
  if (request.scratch !== undefined) {
    await requireRoom(request.scratch, scratchBytes(entry, manifest));
  }
  const unpacking = await openDump(store, entry, manifest, request.secrets);
  const roles =
    request.globals === true
      ? await planRoles(context, maintenance, manifest, request.secrets)
      : null;
  await requireWhatItNeeds(context, maintenance, { entry, manifest, unpacking, roles });
  return {
    entry,
    manifest,
    target,
    fresh: besideName(target, "restore", compactStamp(new Date(`${entry.stamp}Z`))),
    live,
    like: live ?? (await readProperties(maintenance, database)),
    before: await nameToKeep(maintenance, target, "before", new Date()),
    unpacking,
    roles,
  };
}

async function chooseFor({ settings, store }: AgentContext, request: RestoreRequest) {
  const { database } = settings.postgres;
  const { bucket, prefix } = store.address;
  const location = `s3://${bucket}/${prefix}`;
  const all = await listBackups(store, database);
  const entries = request.notAfter === undefined ? all : notAfter(all, request.notAfter, location);
  const entry = chooseBackup(entries, request.wanted, database, location, store.address.names);
  return { entry, manifest: entry.kind === "legacy" ? null : await readManifest(store, entry) };
}

/** Only an archive inside zstd grows when it is unpacked, to the size of the database at most. */
function scratchBytes({ bytes }: CatalogueEntry, manifest: Manifest | null): number {
  return manifest?.compression === "zstd" ? manifest.databaseBytes : bytes;
}

/** A head that cannot be read is left to the restore: it reads the whole object and says what is wrong with it. */
async function requireWhatItNeeds(
  { store, signal }: AgentContext,
  maintenance: pg.Client,
  { entry, manifest, unpacking, roles }: Pick<Plan, "entry" | "manifest" | "unpacking" | "roles">,
): Promise<void> {
  const sql = await readHead(store, entry.key, unpacking, REQUIREMENTS_QUESTION, signal);
  if (sql === undefined) return;
  const needs = parseRequirements(sql);
  await requireRoles(maintenance, needs, roles?.names ?? [], (manifest?.globals ?? null) !== null);
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

/** Says what will happen. */
export function announce(report: Report, plan: Plan): void {
  const { entry, manifest, target, live, before, roles } = plan;
  report.line(
    `Restoring "${target}" from ${entry.stamp} UTC (${readableBytes(entry.bytes)}, ${entry.key}).`,
  );
  report.line(
    live === null
      ? `There is no database "${target}" now; it appears when its content has been checked.`
      : `The database of now stays as "${before}"; until the swap, which closes its connections for a moment, it is not touched.`,
  );
  if (roles !== null && roles.names.length > 0) {
    report.line(`Roles made first: ${roles.names.map((name) => `"${name}"`).join(", ")}.`);
  }
  if (manifest === null) {
    report.notice(
      `${entry.key} was written by the old image without a manifest: pg_restore's own result is checked, but there is nothing to compare the data with.`,
    );
  }
}
