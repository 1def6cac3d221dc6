import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { type CatalogueEntry, isGood, listBackups } from "../../storage/catalogue/catalogue.ts";
import { deleteBackup } from "../../storage/catalogue/deleteBackup.ts";
import { isDenied } from "../../storage/s3/errors.ts";
import type { AgentContext } from "../runtime/context.ts";
import { dropRemark, leaveRemark } from "../runtime/healthState.ts";
import { CopyFailed, type Ledger } from "./destinationResults.ts";

type Keep = NonNullable<AgentSettings["keep"]>;

const DAY_MS = 86_400_000;

/**
 * Which backups of one database may go: older than `keep.days` by their own time, not among the newest `keep.atLeast`
 * good ones, and with a newer good one there. Unfinished and suspect ones go by the same rule, without being counted.
 */
export function expiredBackups(
  entries: readonly CatalogueEntry[],
  keep: Keep,
  now: Date,
): CatalogueEntry[] {
  const good = entries.filter(isGood).toSorted((a, b) => b.stamp.localeCompare(a.stamp));
  const stay = new Set(good.slice(0, keep.atLeast));
  const newest = good[0]?.stamp ?? "";
  const limit = new Date(now.getTime() - keep.days * DAY_MS).toISOString().slice(0, 19);
  return entries.filter((entry) => entry.stamp < limit && entry.stamp < newest && !stay.has(entry));
}

/** How a place is spoken of. */
const WORDS = {
  first: { key: "the key", one: "backup", many: "backups" },
  copy: { key: "the copy's key", one: "copy", many: "copies" },
} as const;

type Name = keyof typeof WORDS;

/**
 * Deletes the expired backups of the context's database in each place that has got the new one, and only there: a newer
 * good one is known to be in it. Copies in folders by calendar are left to the folders' own rules, which keep the monthly
 * ones longer. Each place fails alone.
 * @param stateFolder where the health check looks; absent: outside a container
 * @throws Problem when a place fails for another reason than its key; the new backup is complete all the same. When the run
 * has failed already, that is only said
 */
export async function prune(
  context: AgentContext,
  keep: Keep,
  ledger: Ledger,
  stateFolder = process.env["AGENT_STATE_DIR"],
): Promise<void> {
  const { copy, report, signal } = context;
  const stores = {
    first: context.store,
    copy: copy?.store && !copy.tiers ? copy.store : undefined,
  };
  const failures = new Map<Name, Problem>();
  for (const name of ["first", "copy"] as const) {
    const store = stores[name];
    if (store === undefined || ledger.good(name) === undefined || signal.aborted) continue;
    try {
      await pruneIn({ ...context, store }, name, keep, stateFolder);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      failures.set(name, error);
    }
  }
  if (failures.size === 0) return;
  const message = [...failures].map(([name, error]) => stayed(name, error)).join(" ");
  if (ledger.hasFailed) {
    report.notice(message);
    return;
  }
  const cause = failures.get("first");
  if (cause === undefined) throw new CopyFailed(message, { cause: failures.get("copy") });
  throw new Problem(message, { cause });
}

function stayed(name: Name, error: Problem): string {
  const { one, many } = WORDS[name];
  return `the new ${one} is complete, but old ${many} stay: ${error.message}`;
}

/**
 * Deletes in the context's store. A key that may not delete, or not even list, is no failure: then the bucket's own rule
 * expires them. It is said once for the place in the life of the container, and from then on by its health check.
 */
async function pruneIn(
  { settings, store, report, signal }: AgentContext,
  name: Name,
  keep: Keep,
  stateFolder: string | undefined,
): Promise<void> {
  const { database } = settings.postgres;
  const { key, many } = WORDS[name];
  let expired: CatalogueEntry[] | undefined;
  let deleted = 0;
  try {
    expired = expiredBackups(await listBackups(store, database), keep, new Date());
    for (const entry of expired.toReversed()) {
      signal.throwIfAborted();
      await deleteBackup(store, entry);
      deleted += 1;
    }
    if (deleted > 0) dropRemark(stateFolder, name);
  } catch (error) {
    if (!(error instanceof Problem) || !isDenied(error.cause)) throw error;
    const reason = `BACKUP_KEEP_DAYS: ${key} may not ${expired ? "delete" : "list the bucket"}, so`;
    const until = "until the bucket's own rule expires them";
    if (leaveRemark(stateFolder, name, `${reason} old ${many} stay ${until}`)) {
      const which = expired ? `${expired.length - deleted}` : "the";
      report.notice(`${reason} ${which} ${many} older than ${keep.days} days stay ${until}.`);
    }
  }
  if (deleted > 0) {
    report.line(`Deleted ${deleted} ${many} of ${database} older than ${keep.days} days.`);
  }
}
