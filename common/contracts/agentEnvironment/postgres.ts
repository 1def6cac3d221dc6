import * as z from "zod";
import { Problem } from "../../problem.ts";
import type { AgentSettings } from "./environment.ts";
import { flag, REMEDY, required, whole, words, written } from "./variables.ts";

/** The variables of the server, and of which of its databases are meant. */
export const postgresVariables = {
  POSTGRES_HOST: required("POSTGRES_HOST"),
  POSTGRES_PORT: whole("POSTGRES_PORT", 1, 65_535).default("5432"),
  POSTGRES_USER: required("POSTGRES_USER"),
  POSTGRES_PASSWORD: required("POSTGRES_PASSWORD"),
  POSTGRES_DATABASE: z.string().default(""),
  POSTGRES_BACKUP_ALL: flag("POSTGRES_BACKUP_ALL", "false"),
  POSTGRES_EXCLUDE_DATABASES: z.string().default(""),
  PGDUMP_EXTRA_OPTS: z.string().default(""),
};

type Variables = z.infer<z.ZodObject<typeof postgresVariables>>;

export function clearPostgres({
  postgres,
  databases,
  excludedDatabases,
}: AgentSettings): Record<string, string> {
  return written([
    ["POSTGRES_HOST", postgres.host],
    ["POSTGRES_PORT", postgres.port, "5432"],
    ["POSTGRES_USER", postgres.user],
    databases === "all"
      ? ["POSTGRES_BACKUP_ALL", "true"]
      : ["POSTGRES_DATABASE", databases.join(",")],
    ["POSTGRES_EXCLUDE_DATABASES", excludedDatabases.join(",")],
    ["PGDUMP_EXTRA_OPTS", postgres.dumpOptions],
  ]);
}

export function secretPostgres({ postgres }: AgentSettings): Record<string, string> {
  return { POSTGRES_PASSWORD: postgres.password };
}

/** @throws Problem unless the databases are named, or all of them are meant */
export function postgresOf(
  e: Variables,
): Pick<AgentSettings, "postgres" | "databases" | "excludedDatabases"> {
  const all = e.POSTGRES_BACKUP_ALL === "true";
  const names = words(e.POSTGRES_DATABASE);
  if (!all && names.length === 0) throw new Problem(`POSTGRES_DATABASE is required. ${REMEDY}`);
  if (all && names.length > 0) {
    throw new Problem(
      `POSTGRES_DATABASE and POSTGRES_BACKUP_ALL are both set; choose one. ${REMEDY}`,
    );
  }
  return {
    postgres: {
      host: e.POSTGRES_HOST,
      port: Number(e.POSTGRES_PORT),
      user: e.POSTGRES_USER,
      password: e.POSTGRES_PASSWORD,
      database: names[0] ?? "postgres",
      dumpOptions: e.PGDUMP_EXTRA_OPTS,
    },
    databases: all ? "all" : names,
    excludedDatabases: words(e.POSTGRES_EXCLUDE_DATABASES),
  };
}
