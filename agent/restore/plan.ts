import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { type Decoder, dumpDecoder } from "../archive/decode.ts";
import { queryToc } from "../archive/tocReader.ts";
import { requireNoBackup } from "../postgres/advisoryLock.ts";
import { compactStamp, siblingName } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { requireExtensions } from "./checks/requiredExtensions.ts";
import { requireRoles } from "./checks/requiredRoles.ts";
import { parseRequirements, REQUIREMENTS_WORDS } from "./checks/requirements.ts";
import { requireFreeSpace } from "./checks/scratchSpace.ts";
import { requireVersions } from "./checks/versions.ts";
import { type Choice, chooseFor, type RestoreRequest } from "./choice.ts";
import { type DatabaseProperties, freeName, readProperties } from "./databaseProperties.ts";
import { NotRestored } from "./notRestored.ts";
import { planRoles, type RolePlan } from "./roles.ts";

/** What a restore will do, decided and checked before it does anything. */
export interface Plan extends Choice {
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
  /** What is not brought back: as far as it is known when the plan is made, and then whatever else turns up. */
  readonly notRestored: NotRestored;
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
    notRestored: new NotRestored(),
  };
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
