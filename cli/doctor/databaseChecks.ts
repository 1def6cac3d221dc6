import { lastLine } from "../../common/process.ts";
import type { Session } from "../session/session.ts";
import { type Check, type Finding, fail, ok, skipped } from "./check.ts";

/** What the agent's `probe` says: it tries the databases, then the bucket, then the second one, and ends at the first failure. */
export interface ProbeAnswer {
  readonly databases: readonly string[];
  readonly bucket: string | undefined;
  readonly copy: string | undefined;
  /** Its sentence; absent: it has come to its end. */
  readonly failure?: string;
}

/** Reads what it prints: `database  "shop", PostgreSQL 17.6, pg_dump (PostgreSQL) 17.6`. */
export function readProbe(lines: readonly string[], stderr: string, code: number): ProbeAnswer {
  const about = (word: string) =>
    lines
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length).trim());
  const error = stderr.split("\n").findLast((line) => line.startsWith("error: "));
  return {
    databases: about("database"),
    bucket: about("bucket")[0],
    copy: about("copy")[0],
    ...(code !== 0 && {
      failure: error?.slice("error: ".length) ?? (lastLine(stderr) || `exit code ${code}`),
    }),
  };
}

/** The sentence of the agent has a remedy of its own. */
const MORE = "See docs/troubleshooting.md for this sentence.";

/**
 * PostgreSQL with the role, and the program that reads it.
 * @param expected number of databases; undefined: whatever the server has
 */
export function judgeDatabases(
  { databases, bucket, failure }: ProbeAnswer,
  expected: number | undefined,
): Finding {
  const hasAll =
    failure === undefined ||
    // It has gone on to the bucket.
    bucket !== undefined ||
    (expected === undefined
      ? databases.length > 0 && /bucket|access key|secret key/i.test(failure)
      : databases.length >= expected);
  if (!hasAll) return fail(failure, MORE);
  return ok(databases.map((line) => line.split(", ").slice(0, 2).join(", ")).join("; "));
}

/** A pg_dump that is older than its server is refused by the probe, and so is a failure of it. */
export function judgeVersions({ databases }: ProbeAnswer): Finding {
  const programs = new Set(databases.flatMap((line) => /pg_dump \(.*$/.exec(line) ?? []));
  return programs.size === 0 ? skipped("no database was read") : ok([...programs].join("; "));
}

export function judgeWriting({ bucket, failure }: ProbeAnswer): Finding {
  return bucket === undefined
    ? fail(failure ?? "the agent has not tried it", MORE)
    : ok(bucket.replace(/^s3:\/\/\S+, /, ""));
}

export function judgeCopyWriting({ copy, failure }: ProbeAnswer): Finding {
  return copy === undefined
    ? fail(failure ?? "the agent has not tried it", MORE)
    : ok(copy.replace(/, an upload.*$/, ""));
}

/** What the container itself reaches: the databases that it dumps, and the buckets that it writes to. */
export function databaseChecks(session: () => Session): Check[] {
  let answer: ProbeAnswer = { databases: [], bucket: undefined, copy: undefined };
  return [
    {
      name: "postgresql",
      needs: ["container"],
      look: async () => {
        const { container, backup } = session();
        const lines: string[] = [];
        const { code, stderr } = await container.connection.run({
          words: ["docker", "exec", container.name, "agent", "probe"],
          onLine: (line) => lines.push(line),
          interrupted: "interrupted.",
        });
        answer = readProbe(lines, stderr, code);
        const { databases = [backup.database] } = backup;
        return judgeDatabases(answer, databases === "all" ? undefined : databases.length);
      },
    },
    { name: "versions", needs: ["postgresql"], look: () => judgeVersions(answer) },
    { name: "storing", needs: ["postgresql"], look: () => judgeWriting(answer) },
    {
      name: "second bucket",
      needs: ["storing"],
      look: () =>
        session().backup.copy === undefined ? ok("none is declared") : judgeCopyWriting(answer),
    },
  ];
}
