import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { TooManyObjects } from "../../storage/catalogue/catalogue.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { aheadOfTimeNotice, countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { listJudged, type Trust } from "../../storage/catalogue/judgeOrigin.ts";
import { isDenied } from "../../storage/s3/errors.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { trustOf } from "../archive/trust.ts";
import type { AgentContext, DestinationName } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { findReference } from "./anomaly.ts";
import { isCopyDue } from "./copyDestination.ts";
import type { DestinationResults } from "./destinationResults.ts";

/** One of the buckets that a backup goes to. */
export interface Destination {
  readonly name: DestinationName;
  readonly store: ObjectStore;
  /** Earlier backups of the same database there; null: the key may not list them, or they are not needed. */
  readonly entries: readonly CatalogueEntry[] | null;
  /** Its backups go into folders by calendar. */
  readonly tiers: boolean;
}

export interface ChosenDestinations {
  /** Those that this backup goes to, one at least. */
  readonly destinations: readonly Destination[];
  /** The backup to compare with; null: there is none, or the difference is accepted. */
  readonly reference: Manifest | null;
}

/**
 * Looks at the buckets: which of them this backup goes to, and what it is to be compared with. One that cannot be read is
 * left out and has failed in the results, as has one whose settings are wrong. Then the other one gets the backup, due or not.
 * @throws Problem when none is left
 */
export async function chooseDestinations(
  context: AgentContext,
  { accept }: { readonly accept?: boolean },
  results: DestinationResults,
): Promise<ChosenDestinations> {
  const { settings, copy, report } = context;
  const { database } = settings.postgres;
  const trust = trustOf(settings);
  const destinations: Destination[] = [];
  await results.attempt("first", async () => {
    const { store } = context;
    const { tiers } = settings;
    const warnNotListable = () =>
      report.warn("the key may not list the bucket, so this backup is not compared with the last.");
    const entries = await readEntries(store, database, {
      trust,
      report,
      ...(tiers && { needed: "BACKUP_TIERS" }),
      onNotListable: warnNotListable,
    });
    const ahead = aheadOfTimeNotice(entries ?? []);
    if (ahead !== undefined) report.warn(ahead);
    destinations.push({ name: "first", store, entries, tiers });
  });
  const alone = destinations.length === 0;
  if (copy !== undefined) {
    await results.attempt("copy", async () => {
      if (copy.fault !== undefined) throw copy.fault;
      const { store, every, tiers, warnNotListable } = copy;
      const entries =
        every !== undefined || tiers || alone
          ? await readEntries(store, database, {
              trust,
              report,
              ...(tiers && { needed: "COPY_TIERS" }),
              onNotListable: warnNotListable,
            })
          : null;
      const { jitterSeconds } = settings;
      const timezone = process.env["TZ"] ?? "UTC";
      if (alone || isCopyDue(every, entries ?? [], new Date(), { jitterSeconds, timezone })) {
        destinations.push({ name: "copy", store, entries, tiers });
      } else {
        const stamp = countingBackups(entries ?? [])[0]?.stamp;
        report.line(`No copy is due: the latest is of ${stamp}, COPY_EVERY is ${every}.`);
      }
    });
  }
  for (const { entries } of destinations) warnOverwritten(report, entries ?? []);
  const [main] = destinations;
  if (main === undefined) throw results.failure();
  const { store, entries } = main;
  const reference =
    accept === true || entries === null
      ? null
      : await findReference({ ...context, store }, entries);
  return { destinations, reference };
}

/** The newest ones: a bucket that was copied from elsewhere may hold nothing else. */
const WARNED = 3;

function warnOverwritten(report: Report, entries: readonly CatalogueEntry[]): void {
  const found = entries.filter(({ overwritten }) => overwritten === true);
  for (const { notice } of found.slice(0, WARNED)) if (notice) report.warn(notice);
  if (found.length > WARNED) report.warn(`${found.length - WARNED} more backups were overwritten.`);
}

async function readEntries(
  store: ObjectStore,
  database: string,
  {
    trust,
    report,
    needed,
    onNotListable,
  }: {
    readonly trust: Trust;
    readonly report: Report;
    /** The variable that cannot do without the list; absent: none. */
    readonly needed?: "BACKUP_TIERS" | "COPY_TIERS";
    readonly onNotListable: () => void;
  },
): Promise<readonly CatalogueEntry[] | null> {
  try {
    // Whatever is wrong with an older backup, it never stops the next one.
    return await listJudged(store, database, trust, {
      onUnread: ({ stamp }, reason) =>
        report.warn(`the backup of ${stamp} does not count when this one is judged: ${reason}`),
    });
  } catch (error) {
    // With folders by calendar it then counts as the first of its month, which keeps it longest.
    if (error instanceof TooManyObjects) {
      report.warn(`not compared with the last backup: ${error.message}`);
      return [];
    }
    if (!(error instanceof Problem) || !isDenied(error.cause)) throw error;
    if (needed !== undefined) {
      throw new Problem(
        `${needed} is set, but the key may not list the bucket, so that it is not known which backup is a month's first. ${error.message}`,
        { cause: error },
      );
    }
    onNotListable();
    return null;
  }
}
