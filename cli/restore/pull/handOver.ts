import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { runProgram } from "../../../common/process.ts";
import { INTERRUPTED, MISSING_DOCKER, requireDocker } from "../../drill/localDocker.ts";
import { formatDuration, formatRate } from "../../terminal/format.ts";
import type { Screen } from "../../terminal/screen.ts";
import { psqlWords, runSql } from "./localServer.ts";
import { type Piped, pipe } from "./pipe.ts";
import { ROW_COUNTS, requireEqualRows } from "./rowCounts.ts";
import type { Staged } from "./staging.ts";

type Source = Pick<Staged, "server" | "superuser" | "database">;

/**
 * Dumps the database of a throw-away server into psql. A dump is all that leaves that server: its data folder, WAL and temporary
 * files hold what the mask has taken away.
 * @param options.words more words for pg_dump
 * @throws Problem when not all of it arrives; Interrupted
 */
export function dumpInto(
  screen: Screen,
  { server, superuser, database }: Source,
  to: Omit<Piped, "failure">,
  { words }: { readonly words: readonly string[] },
): Promise<void> {
  const started = performance.now();
  const dump = ["pg_dump", "--username", superuser, "--no-tablespaces", "--no-subscriptions"];
  return pipe(
    {
      failure: "the masked database could not be dumped",
      program: "docker",
      args: ["exec", server, ...dump, ...words, "--dbname", database],
      missing: MISSING_DOCKER,
    },
    { ...to, failure: "the new server did not take what was restored" },
    {
      interrupted: INTERRUPTED,
      onBytes: (bytes) => {
        const elapsedMs = performance.now() - started;
        screen.progress([
          "writing",
          ...[formatBytes(bytes), formatRate(bytes, elapsedMs), formatDuration(elapsedMs)],
        ]);
      },
    },
  );
}

/**
 * Copies roles and database of a throw-away server into another container, and compares every table's rows.
 * @throws Problem when not all of it arrives; Interrupted
 */
export async function copyInto(screen: Screen, source: Source, container: string): Promise<void> {
  const { server, superuser, database } = source;
  const words = ["exec", "--interactive", container, ...psqlWords(superuser, "postgres")];
  const roles = await requireDocker("the roles could not be read", [
    ...["exec", server, "pg_dumpall", "--username", superuser],
    ...["--roles-only", "--no-role-passwords"],
  ]);
  await runSql(
    { container, user: superuser, database: "postgres" },
    // The new server has this one, too.
    roles
      .split("\n")
      .filter((line) => !isMakingOf(line, superuser))
      .join("\n"),
  );
  await dumpInto(
    screen,
    source,
    { program: "docker", args: words, missing: MISSING_DOCKER },
    { words: ["--create"] },
  );
  screen.waiting("comparing");
  const own = { user: superuser, database };
  requireEqualRows(
    await runSql({ container: server, ...own }, ROW_COUNTS),
    await runSql({ container, ...own }, ROW_COUNTS),
  );
}

function isMakingOf(line: string, role: string): boolean {
  return [role, `"${role.replaceAll('"', '""')}"`].some((name) => line === `CREATE ROLE ${name};`);
}

/** psql of this machine, whatever it prints. */
export async function runLocalPsql(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  sql: string,
): Promise<{ readonly code: number; readonly stderr: string; readonly found: string[] }> {
  const found: string[] = [];
  const { code, stderr } = await runProgram("psql", [...args], {
    ...{ env, input: sql, missing: MISSING_PSQL, interrupted: "interrupted." },
    onLine: (line) => found.push(line),
  });
  return { code, stderr, found };
}

export const MISSING_PSQL =
  "psql is not on this machine's PATH. Install PostgreSQL's client, or leave --to out: then a server is made with Docker.";

/** The first line of what psql or the server said. */
export function psqlProblem(what: string, stderr: string): Problem {
  const [first = ""] = stderr.trim().split("\n");
  return new Problem(`${what}: ${first.replace(/^psql: (?:error: )?/, "").replace(/\.$/, "")}.`);
}
