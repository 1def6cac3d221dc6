import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Problem } from "../../common/problem.ts";
import { docker, dockerEnvironment } from "../../sandbox/host/docker.ts";

/** Rows of a full-size database of about 2.4 GB, in the mix of a web application. */
const full = { pgbenchScale: 50, articles: 400_000, events: 3_500_000, files: 6_500 };

/** A name and how large it is beside the full size. */
export interface DatabaseSize {
  readonly name: string;
  readonly share: number;
}

/** Changes whenever other data would be made, so that kept data is never mistaken for it. */
export function dataDigest(databases: readonly DatabaseSize[]): string {
  const hash = createHash("sha256").update(readFileSync(import.meta.filename));
  return hash.update(JSON.stringify(databases)).digest("hex").slice(0, 12);
}

/** Makes and fills one database, deterministically. `psql` and `pgbench` run inside the server's container. */
export async function makeDatabase(container: string, { name, share }: DatabaseSize) {
  const rows = (count: number) => Math.ceil(count * share);
  const inside = ["exec", container];
  const login = ["--username=bench"];
  await docker([...inside, "createdb", ...login, name]);
  const scale = String(Math.max(1, Math.round(full.pgbenchScale * share)));
  const pgbench = ["pgbench", "--initialize", "--quiet", `--scale=${scale}`, ...login, name];
  await docker([...inside, ...pgbench], { timeoutMs: 600_000 });
  await psql(container, name, tables);
  await psql(container, name, eventsSql(rows(full.events)));
  const random = generator(42);
  await copy(container, name, "articles", articles(random, rows(full.articles)));
  await copy(container, name, "files", files(random, rows(full.files)));
  await psql(container, name, indexes);
  await psql(container, name, "VACUUM ANALYZE");
}

const tables = `
  CREATE TABLE articles (id bigint PRIMARY KEY, author int NOT NULL, labels jsonb NOT NULL, body text NOT NULL);
  CREATE TABLE events (id bigint PRIMARY KEY, account int NOT NULL, kind text NOT NULL, at timestamptz NOT NULL,
                       amount numeric NOT NULL, detail text NOT NULL);
  CREATE TABLE files (id bigint PRIMARY KEY, name text NOT NULL, content bytea NOT NULL)`;

const indexes = `
  CREATE INDEX articles_labels ON articles USING gin (labels);
  CREATE INDEX articles_author ON articles (author);
  CREATE INDEX events_account ON events (account, at);
  CREATE INDEX events_kind ON events (kind);
  CREATE INDEX events_detail ON events (detail);
  CREATE UNIQUE INDEX files_name ON files (name)`;

/** Narrow rows; values from a hash of the number, so that they are the same each time. */
const eventsSql = (count: number) => `
  INSERT INTO events
  SELECT n, h % 1000000, (ARRAY['order.created','order.paid','order.shipped','login','logout'])[1 + h % 5],
         timestamptz '2026-01-01' + n * interval '4 seconds', (h % 100000) / 100.0, md5(n::text)
  FROM generate_series(1, ${count}) AS n, LATERAL (SELECT abs(hashint8(n)) AS h) AS hashed`;

async function psql(container: string, database: string, sql: string): Promise<void> {
  const options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=bench"];
  await docker(["exec", "--interactive", container, "psql", ...options, database], {
    input: sql,
    timeoutMs: 600_000,
  });
}

/** Sends rows in the text form of COPY, waiting whenever the server does. */
async function copy(
  container: string,
  database: string,
  table: string,
  rows: Iterable<string>,
): Promise<void> {
  const options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=bench"];
  const args = ["exec", "--interactive", container, "psql", ...options, database];
  const child = spawn("docker", [...args, "--command", `COPY ${table} FROM STDIN`], {
    env: { ...process.env, ...(await dockerEnvironment()) },
    stdio: ["pipe", "ignore", "inherit"],
  });
  const closed = once(child, "close");
  // A psql that ends early closes the pipe; its exit code is what counts.
  child.stdin.on("error", () => {});
  for (const row of rows) {
    if (child.exitCode !== null || child.stdin.destroyed) break;
    if (!child.stdin.write(row)) {
      await Promise.race([once(child.stdin, "drain"), closed]);
    }
  }
  child.stdin.end();
  const [code] = await closed;
  if (code !== 0)
    throw new Problem(`The table ${table} could not be filled: psql ended with ${code}.`);
}

type Random = () => number;

/** A small generator of numbers below 1 with a seed (mulberry32): the same data on every machine. */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Words in the proportions of a language: few are frequent, most are rare. */
function vocabulary(random: Random): string[] {
  const letters = "etaoinshrdlucmfwypvbgkjqxz";
  return Array.from({ length: 12_000 }, () =>
    Array.from(
      { length: 2 + Math.floor(random() * 8) },
      () => letters[Math.floor(random() ** 2 * letters.length)],
    ).join(""),
  );
}

function* articles(random: Random, count: number): Iterable<string> {
  const words = vocabulary(random);
  const word = () => words[Math.floor(random() ** 3 * words.length)] ?? "";
  for (let id = 1; id <= count; id += 1) {
    const body = Array.from({ length: 80 + Math.floor(random() * 280) }, word).join(" ");
    const labels = { topic: word(), tags: Array.from({ length: 5 }, word), stars: id % 6 };
    yield `${id}\t${Math.floor(random() * 20_000)}\t${JSON.stringify(labels)}\t${body}\n`;
  }
}

/** A third of each file is noise, as in pictures and archives; the rest repeats itself, as documents do. */
function* files(random: Random, count: number): Iterable<string> {
  const pattern = Buffer.from("<row><cell>value</cell><cell>0</cell></row>\n".repeat(200));
  for (let id = 1; id <= count; id += 1) {
    const noise = new Uint32Array(2_000 + Math.floor(random() * 4_000));
    for (let i = 0; i < noise.length; i += 1) noise[i] = random() * 4_294_967_296;
    const repeats = Array.from({ length: 4 }, () => pattern);
    const content = Buffer.concat([Buffer.from(noise.buffer), ...repeats]);
    yield `${id}\tfile-${id}.bin\t\\\\x${content.toString("hex")}\n`;
  }
}
