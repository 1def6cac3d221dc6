import type pg from "pg";
import { partialText } from "../../../common/contracts/leftOut.ts";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import { describeItem, withDependents, withoutTablespaces } from "../../archive/contents.ts";
import { withUseList } from "../../archive/useList.ts";
import { compactStamp, siblingName } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorMessage } from "../../runtime/errorMessage.ts";
import { isBoundToDatabase, type RefusedItem, requireAccepted } from "../checks/rehearsal.ts";
import type { NotRestored } from "../notRestored.ts";
import { type ContentLoad, placeWords } from "./content.ts";
import { openArchive } from "./loadArchive.ts";
import { tryDefinitions } from "./trial.ts";

/** Extensions that work in the database of one name only, as pg_cron does in that of `cron.database_name`. */
export interface BoundExtensions {
  /** Numbers of their entries and of all that needs them: not loaded before the database has its name. */
  readonly entries: ReadonlySet<number>;
  /** Whether they are made after the swap. */
  readonly afterSwap: boolean;
}

/** A restore's plan, as far as it is needed here. */
interface BoundLoad extends ContentLoad {
  readonly notRestored: NotRestored;
}

const NONE: BoundExtensions = { entries: new Set(), afterSwap: false };

/**
 * Tries all definitions of the archive on the server, and finds the extensions that insist on a database's name.
 * @param planned roles that are not made yet
 * @throws Problem that names what the server will refuse besides
 */
export async function findBoundExtensions(
  context: AgentContext,
  maintenance: pg.Client,
  plan: BoundLoad,
  planned: readonly string[],
): Promise<BoundExtensions> {
  const { contents, selection, keepGoing, notRestored, database, manifest } = plan;
  if (contents === undefined) return NONE;
  const { refused, otherTables } = await tryDefinitions(context, maintenance, {
    // Never the name of a restore's leftover, which goes only once the restore is confirmed.
    name: siblingName(database, "restore", compactStamp(new Date())),
    model: await modelWithout(maintenance, plan.model, planned),
    contents: selection.tablespaces ? contents : withoutTablespaces(contents),
    without: selection.leftOut,
    role: plan.ownership?.role ?? null,
  });
  const bound = refused.filter(isBoundToDatabase);
  const own = new Set(bound.length === 0 ? [] : otherTables);
  const entries = withDependents(contents.items, [...bound.map(({ item }) => item.id), ...own]);
  const others = refused.filter(
    ({ item, missingRole }) => !entries.has(item.id) && !planned.includes(missingRole ?? ""),
  );
  // One that names this very database will be made in it; any other stays out, and the live one has it today.
  const afterSwap = bound.length > 0 && bound.every((one) => namesDatabase(one, database));
  const stays = afterSwap || plan.live === null ? [] : bound;
  if (!keepGoing) {
    requireAccepted([...others, ...stays], {
      inBackup: (manifest?.globals ?? null) !== null,
      partial: manifest !== null && partialText(manifest) !== null,
      wayOut: plan.wayOut,
    });
  }
  if (!afterSwap) {
    for (const { item, message } of bound) {
      const more = entries.size > 1 ? ` and ${entries.size - 1} entries that need it` : "";
      notRestored.add(`${describeItem(item)}${more} (${message})`);
    }
  }
  return { entries, afterSwap };
}

/** An owner that will be made is not there yet. */
async function modelWithout(
  maintenance: pg.Client,
  model: DatabaseProperties | null,
  planned: readonly string[],
): Promise<DatabaseProperties | null> {
  if (model === null || !planned.includes(model.owner)) return model;
  const { rows } = await maintenance.query<{ me: string }>("SELECT current_user AS me");
  return { ...model, owner: rows[0]?.me ?? model.owner };
}

/** Whether the server's refusal names the database as the one where the extension works. */
function namesDatabase({ message, detail }: RefusedItem, database: string): boolean {
  const escaped = database.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).test(`${message} ${detail}`);
}

/** Makes them in the database that has its name by now. What fails is named: the data is restored and live. */
export async function loadBound(
  context: AgentContext,
  plan: BoundLoad,
  { entries, afterSwap }: BoundExtensions,
): Promise<void> {
  const { contents, database, notRestored } = plan;
  if (!afterSwap || contents === undefined) return;
  const words = placeWords({ ...plan, ownership: plan.ownership && { role: null } });
  const wanted = (id: number) => entries.has(id);
  try {
    await withUseList(contents, wanted, (list) =>
      openArchive(context, plan, undefined, async (run) => {
        const part = { words: [...words, ...list], database, keepGoing: true, startOnly: true };
        const { errors, failure } = await run(part);
        for (const { message } of errors) notRestored.add(`after the swap: ${message}`);
        if (failure !== undefined) notRestored.add(`after the swap: ${failure.message}`);
      }),
    );
  } catch (error) {
    notRestored.add(`after the swap: ${errorMessage(error)}`);
  }
}
