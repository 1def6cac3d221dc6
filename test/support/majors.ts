import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleAgent } from "../../common/agentContext.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { ensureMajor, type Major } from "../../sandbox/host/majors.ts";
import { sandboxLabel } from "../../sandbox/world/paths.ts";
import type { World } from "../../sandbox/world/world.ts";
import { answers } from "./servers/postgresContainer.ts";

const USER = "app";
const PASSWORD = "password-of-the-majors";

/** The agent's image of each major, built as the component builds it. */
export async function buildAgents<M extends Major>(
  world: World,
  majors: readonly M[],
): Promise<Record<M, string>> {
  const dir = await mkdtemp(join(tmpdir(), "majors-"));
  try {
    await bundleAgent(dir);
    const built = majors.map(async (major) => {
      const { base } = await ensureMajor(world, major);
      const image = `${world.registry.server}/majors/agent:pg${major}`;
      const args = [`PG_MAJOR=${major}`, `BASE_IMAGE=${base}`].flatMap((arg) => [
        "--build-arg",
        arg,
      ]);
      await docker(["build", "--quiet", ...args, "--tag", image, dir], { timeoutMs: 600_000 });
      return [major, image];
    });
    return Object.fromEntries(await Promise.all(built)) as Record<M, string>;
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** A server of one major in a container of its own. */
export class MajorServer {
  readonly name: string;
  readonly #image: string;
  readonly #id: string;

  constructor({ id }: World, major: Major, image: string) {
    this.name = `kamal-postgres-backup-${id}-pg${major}`;
    this.#image = image;
    this.#id = id;
  }

  /** What the agent's environment says of it. */
  get environment(): Record<string, string> {
    return { POSTGRES_HOST: this.name, POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD };
  }

  async start(): Promise<void> {
    await removeContainer(this.name);
    const env = { POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD };
    await docker(
      [
        ...["run", "--detach", "--name", this.name, "--network", "kamal"],
        ...["--label", `${sandboxLabel}=${this.#id}`],
        ...Object.keys(env).flatMap((name) => ["--env", name]),
        ...[this.#image, "postgres", "-c", "fsync=off"],
      ],
      { env, timeoutMs: 300_000 },
    );
    await answers(this.name, { user: USER, password: PASSWORD });
  }

  /** Runs statements and returns the lines of the answer, their columns joined by `|`. */
  async query(sql: string, database = "postgres"): Promise<string[]> {
    const psql = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"];
    const to = ["--set=ON_ERROR_STOP=1", "--host=127.0.0.1", `--username=${USER}`, database];
    const words = ["exec", "--interactive", "--env", "PGPASSWORD", this.name, ...psql, ...to];
    const { stdout } = await docker(words, { input: sql, env: { PGPASSWORD: PASSWORD } });
    return stdout.split("\n").filter((line) => line !== "");
  }
}

/** Bytes that a registry holds of an image, which a host has to fetch: the layers as they are compressed there. */
export async function pushedBytes({ registry }: World, image: string): Promise<number> {
  await docker(["push", "--quiet", image], { timeoutMs: 300_000 });
  const [, name, tag] = /^[^/]+\/(.+):([^:]+)$/.exec(image) ?? [];
  const token = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
  const answer = await fetch(`http://${registry.server}/v2/${name}/manifests/${tag}`, {
    headers: {
      authorization: `Basic ${token}`,
      accept: "application/vnd.docker.distribution.manifest.v2+json",
    },
  });
  const { layers } = (await answer.json()) as { layers: { size: number }[] };
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** What each major has that the ones before it do not. */
export const NEWS: Record<Major, string> = {
  15: "create table news (i int, unique nulls not distinct (i)); insert into news values (null);",
  17: `create table news (i int); insert into news values (1);
       create view rows_of_json as select * from json_table('[1, 2]', '$[*]' columns (i int path '$'));`,
  18: `create table news (i int, twice int generated always as (i * 2) virtual, id uuid default uuidv7());
       insert into news (i) values (1);`,
};
export const SHOP = `
  create schema stock;
  create table customers (id int primary key, name text not null);
  insert into customers select i, 'customer ' || i from generate_series(1, 500) i;
  create table orders (id bigint generated always as identity, customer int references customers, at date) partition by range (at);
  create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
  insert into orders (customer, at) select 1 + i % 500, date '2026-01-01' + i % 300 from generate_series(1, 2000) i;
  create index on orders (customer);
  create table stock."Odd ""name" (body bytea);
  insert into stock."Odd ""name" select sha256(i::text::bytea) from generate_series(1, 300) i;
  create materialized view totals as select customer, count(*) from orders group by customer;
  select lo_from_bytea(0, 'a large object');`;
export const COUNTS = `select (select count(*) from customers), (select count(*) from orders), (select count(*) from stock."Odd ""name"),
  (select count(*) from totals), (select count(*) from news), (select count(*) from pg_largeobject_metadata)`;
/** Dumped well, and not restorable: the check looks for a table by a name that does not hold while pg_restore works. */
export const ASTRAY = `
  create table limits as select 10 as highest;
  create function allowed(int) returns bool language plpgsql as 'begin return $1 <= (select highest from limits); end';
  create table orders (i int check (allowed(i)));
  insert into orders values (1);`;
