/** The PostgreSQL server of the soak, and what its two databases hold. */
import pg from "pg";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { sandboxLabel } from "../../sandbox/world/paths.ts";
import { eventually } from "../../sandbox/world/run.ts";
import type { World } from "../../sandbox/world/world.ts";
import { DATABASES } from "./rounds.ts";
import { addressOf } from "./service.ts";

const USER = "app";
const PASSWORD = "password-of-the-soak";
/** Tells the soak's own sessions from the agent's. */
const OURS = "soak";
const ANSWERS_WITHIN_MS = 60_000;

const LOCKS = `(select * from pg_locks where locktype = 'advisory' and classid = ${0x6b706762} and granted) l`;

/** Rows of the largest table: what makes a run last some seconds. */
const ROWS: Record<(typeof DATABASES)[number], number> = { shop: 120_000, shop_queue: 30_000 };
const SMALL_TABLES = 15;

const CONTENT = (rows: number) => `
  create table big as select g as id, md5(g::text) || md5((g * 7)::text) as t from generate_series(1, ${rows}) g;
  alter table big add primary key (id);
  create table small1 as select g as id from generate_series(1, 500) g;
  create table marker as select 'first'::text as v;
  do $$ begin
    for n in 1..${SMALL_TABLES} loop
      execute format('create table part_%s as select g as id, md5(g::text) as t from generate_series(1, 300) g', n);
    end loop;
  end $$;
  select lo_from_bytea(0, 'a large object');`;

/** Rows and lengths of everything, without the marker. */
const STATE = `
  select concat_ws(' ', (select count(*) || ':' || sum(length(t)) || ':' || sum(id) from big), (select count(*) from small1),
    ${Array.from({ length: SMALL_TABLES }, (_, n) => `(select count(*) || ':' || sum(length(t)) from part_${n + 1})`).join(", ")},
    (select count(*) from marker), (select count(*) from pg_largeobject_metadata),
    (select count(*) from pg_constraint where contype = 'p')) as state, (select min(v) from marker) as marker`;

export interface Content {
  readonly state: string;
  readonly marker: string;
}

/** A session as the server lists it. */
export interface Session {
  readonly pid: number;
  readonly program: string;
  readonly query: string;
  readonly state: string;
}

export class Server {
  readonly container: string;
  readonly #world: World;
  readonly #network: string;
  #watching: pg.Client | undefined;

  constructor(world: World, network: string, name: string) {
    this.#world = world;
    this.#network = network;
    this.container = name;
  }

  async start(image: string): Promise<void> {
    await removeContainer(this.container);
    const env = { POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD };
    await docker(
      [
        ...["run", "--detach", "--name", this.container, "--network", this.#network],
        ...["--label", `${sandboxLabel}=${this.#world.id}`],
        ...Object.keys(env).flatMap((name) => ["--env", name]),
        // Kills reach processes, never the kernel: what is written stays, flushed or not.
        ...[image, "postgres", "-c", "fsync=off"],
      ],
      { env },
    );
    await this.answers();
    for (const database of DATABASES) {
      await this.query("postgres", `create database ${database}`);
      await this.query(database, CONTENT(ROWS[database]));
    }
  }

  /** What the agent's environment says of it. */
  get environment(): Record<string, string> {
    return { POSTGRES_HOST: this.container, POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD };
  }

  /** Waits until it takes connections and answers. */
  async answers(): Promise<void> {
    await eventually(this.container, ANSWERS_WITHIN_MS, async () => {
      await this.query("postgres", "select 1");
      return true;
    });
  }

  async query<Row extends pg.QueryResultRow>(
    database: string,
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = await this.#connect(database);
    try {
      // Several statements at once only without values.
      const { rows } = await (values.length === 0
        ? client.query<Row>(text)
        : client.query<Row>(text, [...values]));
      return rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  async mark(database: string, marker: string): Promise<void> {
    await this.query(database, "update marker set v = $1", [marker]);
  }

  /** What a database holds; undefined: there is none of that name, or it is not whole enough to be asked. */
  async content(database: string): Promise<Content | undefined> {
    try {
      return (await this.query<{ state: string; marker: string }>(database, STATE))[0];
    } catch (error) {
      // No database, no table, no column.
      if (/^(3D000|42P01|42703)$/.test((error as { code?: string }).code ?? "")) return undefined;
      throw error;
    }
  }

  /** All databases but those that the soak and PostgreSQL have made. */
  async others(): Promise<string[]> {
    const rows = await this.query<{ datname: string }>(
      "postgres",
      "select datname from pg_database where not datistemplate and not datname = any($1) order by 1",
      [["postgres", USER, ...DATABASES]],
    );
    return rows.map(({ datname }) => datname);
  }

  async drop(database: string): Promise<void> {
    const name = `"${database.replaceAll('"', '""')}"`;
    await this.query("postgres", `drop database if exists ${name} with (force)`);
  }

  /** Sessions of the agent and its programs, by a connection that stays open. */
  async sessions(): Promise<Session[]> {
    try {
      this.#watching ??= await this.#connect("postgres");
      const { rows } = await this.#watching.query<Session>(
        `select pid, application_name as program, coalesce(query, '') as query, coalesce(state, '') as state
         from pg_stat_activity where backend_type = 'client backend' and application_name <> '${OURS}'`,
      );
      return rows;
    } catch {
      // The server is away, or cut the connection: the next look opens another one.
      this.closeWatch();
      return [];
    }
  }

  closeWatch(): void {
    this.#watching?.end().catch(() => {});
    this.#watching = undefined;
  }

  /** Locks of ours that somebody still holds: the advisory ones are named by the letters "kpgb". */
  async heldLocks(): Promise<string[]> {
    const rows = await this.query<{ held: string }>(
      "postgres",
      `select l.objid || ' in ' || coalesce(d.datname, '?') || ' by ' || coalesce(a.application_name, '?') as held
       from ${LOCKS} left join pg_database d on d.oid = l.database left join pg_stat_activity a on a.pid = l.pid`,
    );
    return rows.map(({ held }) => held);
  }

  async endLockHolders(): Promise<void> {
    await this.query("postgres", `select pg_terminate_backend(l.pid) from ${LOCKS}`);
  }

  /** Connects to a database again and again, as an application does, until it is stopped. */
  watch(database: string, everyMs: number): { stop(): Promise<Record<string, number>> } {
    const met: Record<string, number> = {};
    let stopped = false;
    const looking = (async () => {
      while (!stopped) {
        try {
          await this.query(database, "select 1");
        } catch (error) {
          const name = (error as { code?: string }).code ?? "other";
          met[name] = (met[name] ?? 0) + 1;
        }
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    })();
    return {
      stop: async () => {
        stopped = true;
        await looking;
        return met;
      },
    };
  }

  async #connect(database: string): Promise<pg.Client> {
    const client = new pg.Client({
      host: await this.#address(),
      user: USER,
      password: PASSWORD,
      database,
      application_name: OURS,
      connectionTimeoutMillis: 5_000,
      query_timeout: 60_000,
    });
    client.on("error", () => {});
    try {
      await client.connect();
    } catch (error) {
      // It may have been started again somewhere else.
      this.#known = undefined;
      client.end().catch(() => {});
      throw error;
    }
    return client;
  }

  #known: string | undefined;

  async #address(): Promise<string> {
    this.#known ??= await addressOf(this.container, this.#network);
    return this.#known;
  }
}
