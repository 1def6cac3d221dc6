import { Problem } from "../../common/problem.ts";

/** A server that is no accessory, as its address says it. */
export interface DatabaseUrl {
  readonly host: string;
  readonly port?: number;
  readonly user: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslMode?: string;
}

/**
 * Takes the address of a server apart: `postgres://user:password@host:5432/database?sslmode=require`.
 * @throws Problem that repeats nothing of it, since there is a password in it
 */
export function parseDatabaseUrl(text: string): DatabaseUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(?:ql)?:$/.test(url.protocol) || url.hostname === "" || !url.username) {
    throw new Problem(
      "DATABASE_URL is not the address of a PostgreSQL server. Give it as postgres://USER:PASSWORD@HOST:5432/DATABASE.",
    );
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  const sslMode = url.searchParams.get("sslmode");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    ...(url.port !== "" && { port: Number(url.port) }),
    user: decodeURIComponent(url.username),
    ...(url.password !== "" && { password: decodeURIComponent(url.password) }),
    ...(database !== "" && { database }),
    ...(sslMode !== null && { sslMode }),
  };
}
