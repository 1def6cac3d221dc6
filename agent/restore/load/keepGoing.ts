import type pg from "pg";
import { outcomeText } from "../../../common/contracts/agentEvents.ts";
import { Problem } from "../../../common/problem.ts";
import { type ArchiveContents, type ArchiveItem, describeItem } from "../../archive/contents.ts";
import { connect, endingOnAbort } from "../../postgres/connection.ts";
import { identifier } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { isFullDisk } from "../checks/space.ts";
import { adviceFor } from "./failure.ts";
import { type Load, notRestored, type RunPart, withArchive } from "./loadArchive.ts";
import type { RestoreResult } from "./pgRestore.ts";
import type { StatementError } from "./statementErrors.ts";
import { withUseList } from "./useList.ts";

/** A statement of the archive that failed, and what became of it. */
export interface FailedStatement {
  /** `FK CONSTRAINT public.posts posts_uid_fkey`. */
  readonly entry: string;
  /** Its first lines; empty for the rows of a table. */
  readonly statement: string;
  /** Why, in a sentence without its full stop. */
  readonly error: string;
  /**
   * `left out`: it is missing. `not valid`: the constraint is there and holds for new rows, but the old ones do not all keep it.
   * `empty`: the materialized view is there without rows. `second try`: it is there, made when everything else was.
   */
  readonly outcome: "left out" | "not valid" | "empty" | "second try";
}

/** A check that was taken off a table, because its rows could not be loaded with it. */
interface TakenCheck {
  /** `ALTER TABLE public.orders`, or a domain. */
  readonly subject: string;
  readonly name: string;
  /** `CHECK (...)` */
  readonly definition: string;
}

/**
 * Loads whatever can be loaded, past every error. Rows come first: where a check keeps a table's rows out, it is taken off,
 * and comes back as NOT VALID. What failed otherwise is tried once more at the end.
 * @param wanted says of an entry's number whether it is restored
 * @param words for pg_restore
 * @returns every statement that failed
 * @throws Problem when the object is damaged, or nothing more can be loaded at all
 */
export async function loadWhatCanBe(
  context: AgentContext,
  load: Load & { readonly contents: ArchiveContents },
  scratch: string | undefined,
  {
    wanted,
    words,
  }: { readonly wanted: (id: number) => boolean; readonly words: readonly string[] },
): Promise<readonly FailedStatement[]> {
  const { contents } = load;
  const failed: FailedStatement[] = [];
  await withArchive(context, load, scratch, async (runPart) => {
    const run: RunPart = async (part) =>
      checkEnd(await runPart({ ...part, keepGoing: true }), load);
    await withUseList(contents, wanted, async (list) => {
      const common = [...words, ...list];
      const rows = await run({ words: [...common, "--section=pre-data", "--section=data"] });
      const first = await inNewDatabase(context, load, (client) =>
        new SecondTry(client, contents).rows(rows.errors, async (ids) => {
          const again = await withUseList(
            contents,
            (id) => ids.has(id),
            (only) => run({ words: [...words, ...only], startOnly: true }),
          );
          return again.errors;
        }),
      );
      const rest = await run({ words: [...common, "--section=post-data"], startOnly: true });
      const second = await inNewDatabase(context, load, (client) =>
        new SecondTry(client, contents).statements(rest.errors),
      );
      failed.push(...first, ...second);
    });
  });
  return failed;
}

/** Past a full disk, or a server that is gone, there is nothing to go on to. */
function checkEnd(result: RestoreResult, load: Load): RestoreResult {
  const { failure, errors } = result;
  const full = errors.find(({ message }) => isFullDisk(message));
  if (full !== undefined) {
    throw notRestored(new Problem(`${full.message}.${adviceFor(full.message)}`), load);
  }
  if (failure !== undefined) throw notRestored(failure, load);
  return result;
}

async function inNewDatabase<T>(
  { settings, signal }: AgentContext,
  { temporaryName }: Load,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(settings.postgres, temporaryName);
  return endingOnAbort(client, signal, async () => {
    // As the application has it: statements inside functions and views may count on it.
    await client.query(`SET search_path = "$user", public`);
    return work(client);
  });
}

/** What is done about statements that failed, when everything that did not is there. */
class SecondTry {
  readonly #client: pg.Client;
  readonly #items: ReadonlyMap<number, ArchiveItem>;

  constructor(client: pg.Client, { items }: ArchiveContents) {
    this.#client = client;
    this.#items = new Map(items.map((item) => [item.id, item]));
  }

  /**
   * @param errors of the run that has made tables and loaded rows
   * @param reload loads the rows of these entries again
   */
  async rows(
    errors: readonly StatementError[],
    reload: (ids: ReadonlySet<number>) => Promise<readonly StatementError[]>,
  ): Promise<FailedStatement[]> {
    const isData = ({ id }: StatementError) => this.#item(id)?.type === "TABLE DATA";
    const others = await this.statements(errors.filter((error) => !isData(error)));
    const data = errors.filter(isData);
    if (data.length === 0) return others;
    const taken = new Map<number, readonly TakenCheck[]>();
    for (const { id } of data) if (id !== null) taken.set(id, await this.#takeChecks(id));
    const again = await reload(new Set(taken.keys()));
    const stillOut = new Map(again.map((error) => [error.id, error]));
    const failed: FailedStatement[] = [];
    for (const error of data) {
      const { id } = error;
      const last = stillOut.get(id);
      failed.push({
        ...this.#describe(error),
        ...(last !== undefined && { error: last.message }),
        outcome: last === undefined ? "second try" : "left out",
      });
      for (const check of taken.get(id ?? -1) ?? []) {
        failed.push(...(await this.#putBack(check, last ?? error)));
      }
    }
    return [...others, ...failed];
  }

  /** @param errors of a run whose statements need no rows */
  async statements(errors: readonly StatementError[]): Promise<FailedStatement[]> {
    const failed: FailedStatement[] = [];
    for (const error of errors) {
      failed.push({ ...this.#describe(error), outcome: await this.#again(error) });
    }
    return failed;
  }

  async #again({ id, statement, isWhole }: StatementError): Promise<FailedStatement["outcome"]> {
    const item = this.#item(id);
    // An entry goes to the server in several statements, of which others may have been done: owners are given apart.
    const sql = isWhole ? statement : (item?.sql ?? "");
    if (item === undefined || sql === "") return "left out";
    // A foreign key looks at every row, and finds the same again.
    if (item.type !== "FK CONSTRAINT" && (await this.#succeeds(sql))) return "second try";
    if (/^(?:FK|CHECK) CONSTRAINT$/.test(item.type) && !/ NOT VALID;\s*$/.test(sql)) {
      if (await this.#succeeds(sql.replace(/;\s*$/, " NOT VALID;"))) return "not valid";
    }
    // The grants of an entry go to the server together: where one fails, none is done.
    if (item.type === "ACL" || item.type === "DEFAULT ACL") return this.#oneByOne(item.sql);
    return item.type === "MATERIALIZED VIEW DATA" ? "empty" : "left out";
  }

  /** Grants stand one a line. */
  async #oneByOne(sql: string): Promise<FailedStatement["outcome"]> {
    for (const line of sql.split("\n")) if (line !== "") await this.#succeeds(line);
    return "left out";
  }

  async #succeeds(sql: string): Promise<boolean> {
    try {
      await this.#client.query(sql);
      return true;
    } catch (error) {
      // The connection itself: then it is not the statement.
      if (errorCode(error)?.length !== 5) throw error;
      return false;
    }
  }

  /** The checks of a table, of those that it inherits from, and of the domains of its columns. */
  async #takeChecks(id: number): Promise<readonly TakenCheck[]> {
    const table = this.#tableOf(this.#item(id));
    if (table === undefined || table.schema === null) return [];
    const { rows } = await this.#client.query<TakenCheck>(
      `WITH RECURSIVE line (oid) AS (
         SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2
         UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN line ON i.inhrelid = line.oid
       )
       SELECT 'ALTER TABLE ' || conrelid::regclass AS subject, conname AS name,
              pg_catalog.pg_get_constraintdef(k.oid) AS definition
       FROM pg_catalog.pg_constraint k JOIN line ON line.oid = k.conrelid
       WHERE k.contype = 'c' AND k.coninhcount = 0
       UNION
       SELECT 'ALTER DOMAIN ' || contypid::regtype, conname, pg_catalog.pg_get_constraintdef(k.oid)
       FROM pg_catalog.pg_constraint k
       WHERE k.contype = 'c' AND k.contypid IN (
         SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN line ON line.oid = a.attrelid WHERE a.attnum > 0)`,
      [table.schema, table.name],
    );
    const taken: TakenCheck[] = [];
    for (const check of rows) {
      const drop = `${check.subject} DROP CONSTRAINT ${identifier(check.name)}`;
      if (await this.#succeeds(drop)) taken.push(check);
    }
    return taken;
  }

  /** @returns what is to be said of it: nothing when the rows keep it after all */
  async #putBack(
    { subject, name, definition }: TakenCheck,
    { message }: StatementError,
  ): Promise<FailedStatement[]> {
    const statement = `${subject} ADD CONSTRAINT ${identifier(name)} ${definition}`;
    if (await this.#succeeds(statement)) return [];
    const entry = `CHECK CONSTRAINT ${subject.replace(/^ALTER (?:TABLE|DOMAIN) /, "")} ${name}`;
    const valid = statement.endsWith(" NOT VALID") ? statement : `${statement} NOT VALID`;
    const outcome = (await this.#succeeds(valid)) ? "not valid" : "left out";
    return [{ entry, statement: `${statement};`, error: message, outcome }];
  }

  #describe({ id, message, statement }: StatementError) {
    const item = this.#item(id);
    const table = this.#tableOf(item);
    const shown = item && table ? { ...table, type: item.type } : item;
    return { entry: shown ? describeItem(shown) : "pg_restore", statement, error: message };
  }

  /** The table whose rows an entry holds. */
  #tableOf(data: ArchiveItem | undefined): ArchiveItem | undefined {
    if (data?.type !== "TABLE DATA") return undefined;
    return [...this.#items.values()].find(({ type, oid }) => type === "TABLE" && oid === data.oid);
  }

  #item(id: number | null): ArchiveItem | undefined {
    return id === null ? undefined : this.#items.get(id);
  }
}

/** Statements that do something to an object which is there. */
const ABOUT_OBJECT = /^(?:ALTER .* OWNER TO |GRANT |REVOKE |SET |COMMENT )/;

/** For a person, in one line. */
export function describeFailed({ entry, statement, error, outcome }: FailedStatement): string {
  const [first = ""] = statement.split("\n");
  const what = ABOUT_OBJECT.test(first) ? `${entry}: ${first.replace(/;$/, "")}` : entry;
  return `${what} (${error})${outcomeText(outcome)}`;
}
