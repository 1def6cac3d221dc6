import type pg from "pg";
import { outcomeText } from "../../../common/contracts/agentEvents.ts";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import { type ArchiveContents, type ArchiveItem, describeItem } from "../../archive/contents.ts";
import { withUseList } from "../../archive/useList.ts";
import { connect, endingOnAbort } from "../../postgres/connection.ts";
import { identifier, literal } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { isFullDisk } from "../checks/space.ts";
import { adviceFor } from "./failure.ts";
import { type Load, notRestored, type RunPart, withArchive } from "./loadArchive.ts";
import type { RestoreResult } from "./pgRestore.ts";
import type { StatementError } from "./statementErrors.ts";

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

/** A restore's plan, as far as it is needed here. */
type KeepGoingLoad = Load & {
  readonly contents: ArchiveContents;
  readonly model: DatabaseProperties | null;
};

/**
 * Loads whatever can be loaded, past every error. What failed is tried once more as the application has it: where a function names a
 * table without its schema, pg_restore's own empty search_path hides that. Where a check keeps a table's rows out all the same, it
 * is taken off, and comes back as NOT VALID.
 * @param wanted says of an entry's number whether it is restored
 * @param words for pg_restore
 * @returns every statement that failed
 * @throws Problem when the object is damaged, or nothing more can be loaded at all
 */
export async function loadWhatCanBe(
  context: AgentContext,
  load: KeepGoingLoad,
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

/** Works with the search_path that the application has: statements inside functions and views may count on it. */
async function inNewDatabase<T>(
  { settings, signal }: AgentContext,
  { temporaryName, model }: KeepGoingLoad,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(settings.postgres, temporaryName);
  return endingOnAbort(client, signal, async () => {
    const own = model?.settings.find(({ role, name }) => role === null && name === "search_path");
    const path = own?.value || `"$user", public`;
    await client.query(`SET search_path = ${path}`);
    return withFunctionPaths(client, path, () => work(client));
  });
}

/**
 * Gives the functions that have no search_path of their own this one meanwhile: pg_restore, and since PostgreSQL 17 whatever builds
 * an index, calls them with another one.
 */
async function withFunctionPaths<T>(
  client: pg.Client,
  path: string,
  work: () => Promise<T>,
): Promise<T> {
  const { rows } = await client.query<{ routine: string }>(
    `SELECT format('%s %I.%I(%s)', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname, p.proname,
                   pg_catalog.pg_get_function_identity_arguments(p.oid)) AS routine
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     WHERE p.prokind IN ('f', 'p') AND l.lanname NOT IN ('internal', 'c') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
                       AND d.objid = p.oid AND d.deptype = 'e')`,
  );
  const changed: string[] = [];
  try {
    for (const { routine } of rows) {
      if (await succeeds(client, `ALTER ${routine} SET search_path = ${path}`))
        changed.push(routine);
    }
    return await work();
  } finally {
    for (const routine of changed) await client.query(`ALTER ${routine} RESET search_path`);
  }
}

/** @throws whatever ends the connection: then it is not the statement */
async function succeeds(client: pg.Client, sql: string): Promise<boolean> {
  try {
    await client.query(sql);
    return true;
  } catch (error) {
    if (errorCode(error)?.length !== 5) throw error;
    return false;
  }
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
    const idsOf = (list: readonly StatementError[]) => list.flatMap(({ id }) => id ?? []);
    const outAgain = (await reload(new Set(idsOf(data)))).filter(isData);
    const taken = new Map<number, readonly TakenCheck[]>();
    for (const id of idsOf(outAgain)) taken.set(id, await this.#takeChecks(id));
    const last = taken.size === 0 ? [] : await reload(new Set(taken.keys()));
    const stillOut = new Map(last.map((error) => [error.id, error]));
    const failed: FailedStatement[] = [];
    for (const error of data) {
      const { id } = error;
      const out = stillOut.get(id);
      failed.push({
        ...this.#describe(error),
        ...(out !== undefined && { error: out.message }),
        outcome: out === undefined ? "second try" : "left out",
      });
      const cause = out ?? outAgain.find((other) => other.id === id) ?? error;
      for (const check of taken.get(id ?? -1) ?? []) {
        failed.push(...(await this.#putBack(check, cause)));
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
      const notValid = sql.replace(/;\s*$/, " NOT VALID;");
      if (await this.#succeeds(notValid)) return "not valid";
      if (await this.#onPartitions(notValid)) return "not valid";
    }
    // The grants of an entry go to the server together: where one fails, none is done.
    if (item.type === "ACL" || item.type === "DEFAULT ACL") return this.#oneByOne(item.sql);
    return item.type === "MATERIALIZED VIEW DATA" ? "empty" : "left out";
  }

  /**
   * A partitioned table takes no foreign key that is NOT VALID before PostgreSQL 18; its partitions do.
   * @param sql whose first line names the table, as pg_dump writes it
   */
  async #onPartitions(sql: string): Promise<boolean> {
    const [, table, rest] = /^ALTER TABLE (?:ONLY )?([^\n]+)\n([\s\S]*)$/.exec(sql) ?? [];
    if (table === undefined || !(await this.#succeeds(`SELECT ${literal(table)}::regclass`)))
      return false;
    const { rows } = await this.#client.query<{ name: string }>(
      `SELECT relid::regclass::text AS name FROM pg_catalog.pg_partition_tree(${literal(table)}) WHERE isleaf`,
    );
    let all = rows.length > 0;
    for (const { name } of rows) {
      if (!(await this.#succeeds(`ALTER TABLE ${name}\n${rest}`))) all = false;
    }
    return all;
  }

  /** Grants stand one a line. */
  async #oneByOne(sql: string): Promise<FailedStatement["outcome"]> {
    for (const line of sql.split("\n")) if (line !== "") await this.#succeeds(line);
    return "left out";
  }

  #succeeds(sql: string): Promise<boolean> {
    return succeeds(this.#client, sql);
  }

  /** The checks of a table, of those that it inherits from, and of the domains of its columns, however deep in other types. */
  async #takeChecks(id: number): Promise<readonly TakenCheck[]> {
    const table = this.#tableOf(this.#item(id));
    if (table === undefined || table.schema === null) return [];
    const { rows } = await this.#client.query<TakenCheck>(
      `WITH RECURSIVE line (oid) AS (
         SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2
         UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN line ON i.inhrelid = line.oid
       ), type (oid) AS (
         SELECT a.atttypid FROM pg_catalog.pg_attribute a JOIN line ON line.oid = a.attrelid WHERE a.attnum > 0
         UNION
         SELECT inner_type FROM type JOIN pg_catalog.pg_type t ON t.oid = type.oid,
           LATERAL (SELECT t.typelem UNION SELECT t.typbasetype
                    UNION SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
                    UNION SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) i (inner_type)
         WHERE inner_type <> 0
       )
       SELECT 'ALTER TABLE ' || conrelid::regclass AS subject, conname AS name,
              pg_catalog.pg_get_constraintdef(k.oid) AS definition
       FROM pg_catalog.pg_constraint k JOIN line ON line.oid = k.conrelid
       WHERE k.contype = 'c' AND k.coninhcount = 0
       UNION
       SELECT 'ALTER DOMAIN ' || contypid::regtype, conname, pg_catalog.pg_get_constraintdef(k.oid)
       FROM pg_catalog.pg_constraint k
       WHERE k.contype = 'c' AND k.contypid IN (SELECT oid FROM type)`,
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
