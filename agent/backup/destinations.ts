import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { type CatalogueEntry, isGood, listBackups } from "../../storage/catalogue/catalogue.ts";
import { isDenied } from "../../storage/s3/errors.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import type { AgentContext } from "../runtime/context.ts";
import { findReference } from "./anomaly.ts";
import { isCopyDue } from "./copyDestination.ts";
import type { Ledger } from "./destinationResults.ts";

/** One of the buckets that a backup goes to. */
export interface Place {
  readonly name: "first" | "copy";
  readonly store: ObjectStore;
  /** Earlier backups of the same database there; null: the key may not list, or nobody needs to know. */
  readonly entries: readonly CatalogueEntry[] | null;
  /** Its backups go into folders by calendar. */
  readonly tiers: boolean;
}

export interface Places {
  /** Those that this backup goes to, one at least. */
  readonly places: readonly Place[];
  /** The backup to compare with; null: there is none, or the difference is accepted. */
  readonly reference: Manifest | null;
}

/**
 * Looks at the buckets: which of them this backup goes to, and what it is to be compared with. One that cannot be read is
 * left out and has failed in the ledger, as has one whose settings are wrong. Then the other one is to have the backup, due or not.
 * @throws Problem when none is left
 */
export async function choosePlaces(
  context: AgentContext,
  { accept }: { readonly accept?: boolean },
  ledger: Ledger,
): Promise<Places> {
  const { settings, copy, report } = context;
  const { database } = settings.postgres;
  const places: Place[] = [];
  await ledger.attempt("first", async () => {
    const { store } = context;
    const { tiers } = settings;
    const unlisted = () =>
      report.notice(
        "the key may not list the bucket, so this backup is not compared with the last.",
      );
    const entries = await readEntries(store, database, tiers && "BACKUP_TIERS", unlisted);
    places.push({ name: "first", store, entries, tiers });
  });
  const alone = places.length === 0;
  if (copy !== undefined) {
    await ledger.attempt("copy", async () => {
      if (copy.fault !== undefined) throw copy.fault;
      const { store, every, tiers, sayUnlisted } = copy;
      const entries =
        every !== undefined || tiers || alone
          ? await readEntries(store, database, tiers && "COPY_TIERS", sayUnlisted)
          : null;
      const { jitterSeconds } = settings;
      const timezone = process.env["TZ"] ?? "UTC";
      if (alone || isCopyDue(every, entries ?? [], new Date(), { jitterSeconds, timezone })) {
        places.push({ name: "copy", store, entries, tiers });
      } else {
        const stamp = entries?.find(isGood)?.stamp;
        report.line(`No copy is due: the newest is of ${stamp}, COPY_EVERY is ${every}.`);
      }
    });
  }
  const [main] = places;
  if (main === undefined) throw ledger.failure();
  const { store, entries } = main;
  const reference =
    accept === true || entries === null
      ? null
      : await findReference({ ...context, store }, entries);
  return { places, reference };
}

/** @param tiers the variable that asks for tiers, which cannot do without the list; false: none does */
async function readEntries(
  store: ObjectStore,
  database: string,
  tiers: string | false,
  onUnlisted: () => void,
): Promise<readonly CatalogueEntry[] | null> {
  try {
    return await listBackups(store, database);
  } catch (error) {
    if (!(error instanceof Problem) || !isDenied(error.cause)) throw error;
    if (tiers !== false) {
      throw new Problem(
        `${tiers} is set, but the key may not list the bucket, so that it is not known which backup is a month's first. ${error.message}`,
        { cause: error },
      );
    }
    onUnlisted();
    return null;
  }
}
