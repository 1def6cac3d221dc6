/** A server of the matrix, and the tools of PostgreSQL that fill it and look at it. */
import { execFile } from "node:child_process";
import type { TestPostgres } from "../../support/servers/postgres.ts";
import { contentOf, quoted, type RichDatabase } from "./databases.ts";
import { type Picture, pictureOf } from "./picture.ts";

/** Runs a program of PostgreSQL against the server and returns what it printed, byte for byte as Latin-1. */
export type Tool = (
  program: string,
  args: readonly string[],
  options?: { readonly input?: string; readonly clientEncoding?: string },
) => Promise<string>;

const VIEWS = `select format('select %L as name, coalesce(md5(string_agg(v::text, chr(10) order by v::text)), ''-'') from %s v', oid::regclass, oid::regclass)
  from pg_class where relkind = 'm' and relispopulated order by 1`;

export class Side {
  readonly major: number;
  readonly #tool: Tool;

  constructor(major: number, tool: Tool) {
    this.major = major;
    this.#tool = tool;
  }

  async sql(database: string, text: string, clientEncoding?: string): Promise<string[]> {
    const words = [
      "--no-psqlrc",
      "--quiet",
      "--no-align",
      "--tuples-only",
      "--set=ON_ERROR_STOP=1",
    ];
    const options = { input: text, ...(clientEncoding !== undefined && { clientEncoding }) };
    const printed = await this.#tool("psql", [...words, `--dbname=${named(database)}`], options);
    return printed.split("\n").filter((line) => line !== "");
  }

  async create(database: RichDatabase): Promise<void> {
    const name = quoted(database.name);
    await this.sql("postgres", `create database ${name} ${database.options ?? ""}`);
    await this.sql(database.name, contentOf(database, this.major), database.clientEncoding);
    const properties = (database.properties ?? "").replaceAll("DB", name);
    if (properties !== "") await this.sql("postgres", properties);
  }

  async drop(name: string): Promise<void> {
    await this.sql(
      "postgres",
      `alter database ${quoted(name)} with is_template false; drop database ${quoted(name)} with (force)`,
    );
  }

  async databases(): Promise<string[]> {
    return this.sql("postgres", "select datname from pg_database");
  }

  async picture(database: string): Promise<Picture> {
    const text = await this.#tool("pg_dump", ["--create", `--dbname=${named(database)}`]);
    const queries = await this.sql(database, VIEWS);
    const rows = queries.length === 0 ? [] : await this.sql(database, queries.join(" union all "));
    return pictureOf(
      text,
      Object.fromEntries(rows.map((row) => row.split("|") as [string, string])),
    );
  }
}

/** The tools of this machine, against a server of the test's own. */
export function localTool({ host, port, user, password }: TestPostgres): Tool {
  return (program, args, { input = "", clientEncoding = "UTF8" } = {}) =>
    new Promise((resolve, reject) => {
      const child = execFile(
        program,
        [...args],
        {
          env: {
            PATH: process.env["PATH"],
            // Else a database's own setting changes how its times look, with nothing else changed.
            PGTZ: "UTC",
            ...{ PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password },
            ...(program === "psql" && { PGCLIENTENCODING: clientEncoding }),
          },
          encoding: "latin1",
          maxBuffer: 2 ** 28,
        },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(new Error(`${program}: ${stderr || error.message}`));
        },
      );
      child.stdin?.end(input);
    });
}

/** A connection string, since a name may look like one. */
function named(database: string): string {
  return `dbname='${database.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
