import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ArchiveIndexer } from "../../../agent/archive/toc/archiveIndexer.ts";
import { fillOffsets } from "../../../agent/archive/toc/fillOffsets.ts";
import { TableOfContents } from "../../../agent/archive/toc/tableOfContents.ts";
import { untimed } from "../../support/archive.ts";
import {
  findServerPrograms,
  query,
  startPostgres,
  type TestPostgres,
} from "../../support/servers/postgres.ts";

const run = promisify(execFile);
let server: TestPostgres;
let dir: string;
before(async () => {
  server = await startPostgres();
  dir = await mkdtemp(join(tmpdir(), "offsets-"));
  await query(
    server,
    "postgres",
    // Pieces that fill the reader's window, pass over it and end at its edges.
    "create table rows as select i, repeat(md5(i::text), i % 300) as body from generate_series(1, 9000) i",
    "create table wide as select string_agg(md5(i::text), '') as body from generate_series(1, 30000) i",
    "create table empty (i int primary key)",
    "select lo_from_bytea(0, convert_to(repeat('large', 100000), 'UTF8')) from generate_series(1, 3)",
    "comment on table rows is 'größer'",
  );
});
after(async () => {
  await server.stop();
  await rm(dir, { recursive: true });
});

/** pg_dump into a pipe and into a file, where it goes back to the table of contents at the end. */
async function dumpTwice(name: string, options: string) {
  const programs = await findServerPrograms();
  const [piped, seekable] = [join(dir, `${name}.piped`), join(dir, `${name}.file`)];
  const dump = `${programs?.dir}/pg_dump -Fc ${options}`;
  const { host, port, user, password } = server;
  const env = {
    ...process.env,
    ...{ PGHOST: host, PGPORT: `${port}`, PGUSER: user, PGPASSWORD: password },
  };
  await run("sh", ["-c", `${dump} | cat >${piped} && ${dump} -f ${seekable}`], { env });
  return { piped, seekable, untouched: await readFile(piped) };
}

for (const [name, options] of [
  ["plain", "-Z0"],
  ["compressed", "-Z1"],
  ["schema alone", "-s"],
] as const) {
  test(`${name}: filled in, it is what pg_dump writes where it can go back`, async () => {
    const { piped, seekable, untouched } = await dumpTwice(name.replace(" ", "-"), options);
    const wanted = untimed(await readFile(seekable));
    assert.equal(untimed(untouched).equals(wanted), options === "-s");
    assert.equal(await fillOffsets(piped), true);
    assert.ok(untimed(await readFile(piped)).equals(wanted));
  });
}

test("what is no whole archive of a known format stays as it is", async () => {
  const { piped, seekable, untouched } = await dumpTwice("strange", "-Z0");
  const newer = Buffer.from(untouched).fill(99, 6, 7);
  for (const [what, bytes] of [
    ["of a newer format", newer],
    ["cut within its head", untouched.subarray(0, 40)],
    ["cut within its table of contents", untouched.subarray(0, 900)],
    ["cut at its end", untouched.subarray(0, untouched.length - 3)],
    ["with another block at its end", Buffer.concat([untouched, Buffer.from([9, 0, 1, 0, 0, 0])])],
    ["filled in before", await readFile(seekable)],
    ["something else", Buffer.from("select 1;")],
    ["nothing", Buffer.alloc(0)],
  ] as const) {
    await writeFile(piped, bytes);
    assert.equal(await fillOffsets(piped), false, what);
    assert.ok((await readFile(piped)).equals(bytes), what);
  }
});

/** Restores an archive from a pipe into a new database. @returns exit code, and the rows of each table that is there then */
async function restored(name: string, archive: Buffer) {
  const programs = await findServerPrograms();
  const { host, port, user, password } = server;
  await query(server, "postgres", `create database ${name}`);
  const env = {
    ...process.env,
    PGHOST: host,
    PGPORT: `${port}`,
    PGUSER: user,
    PGPASSWORD: password,
  };
  const restoring = run(`${programs?.dir}/pg_restore`, ["--exit-on-error", "-d", name], { env });
  restoring.child.stdin?.on("error", () => {}).end(archive);
  const code = await restoring.then(
    () => 0,
    (error: { readonly code: number }) => error.code,
  );
  const tables = await query(
    server,
    name,
    `select relname, (xpath('/row/n/text()', query_to_xml('select count(*) as n from ' || oid::regclass, false, true, '')))[1]::text::int as n
     from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`,
  );
  return { code, tables: Object.fromEntries(tables.map(({ relname, n }) => [relname, n])) };
}

test("an archive that is cut down to some entries restores from a pipe what it holds, and a broken one no row", async () => {
  const { untouched, seekable } = await dumpTwice("parts", "-Z1");
  const indexer = new ArchiveIndexer({ digests: false });
  indexer.push(Buffer.from(untouched));
  const index = indexer.index();
  assert.ok(index);
  let start = index.toc;
  const blocks = new Map<number, Buffer>();
  for (const [id, bytes] of index.blocks) {
    blocks.set(id, untouched.subarray(start, start + bytes));
    start += bytes;
  }
  const toc = new TableOfContents(untouched.subarray(0, index.toc));
  const idOf = (type: string, tag: string) =>
    toc.entries.find((entry) => entry.type === type && entry.tag === tag)?.id ?? 0;
  const [rows, wide] = [idOf("TABLE DATA", "rows"), idOf("TABLE DATA", "wide")];
  const wanted = new Set([idOf("TABLE", "rows"), idOf("TABLE", "wide"), rows, wide]);
  const only = (ids: ReadonlySet<number>, from = toc) => from.cut(({ id }) => ids.has(id));
  const data = [...blocks].filter(([id]) => wanted.has(id)).map(([, block]) => block);
  const one = new Set([idOf("TABLE", "wide"), wide]);
  const last = blocks.get(wide) as Buffer;
  // pg_dump has written into its file where the data lies, which is wrong for a part of it.
  const filled = new TableOfContents((await readFile(seekable)).subarray(0, index.toc));
  for (const [name, archive, code, tables] of [
    ["one", Buffer.concat([only(one), last]), 0, { wide: 1 }],
    ["two", Buffer.concat([only(wanted), ...data]), 0, { rows: 9000, wide: 1 }],
    ["filled", Buffer.concat([only(one, filled), last]), 0, { wide: 1 }],
    ["definitions", only(new Set([idOf("TABLE", "rows")])), 0, { rows: 0 }],
    ["unordered", Buffer.concat([only(wanted), ...data.toReversed()]), 1, { rows: 9000, wide: 0 }],
    ["lacking", only(one), 1, { wide: 0 }],
    ["broken", Buffer.concat([only(one), last.subarray(0, last.length / 2)]), 1, { wide: 0 }],
    ["unended", Buffer.concat([only(one), last.subarray(0, -5)]), 1, { wide: 0 }],
  ] as const) {
    assert.deepEqual(await restored(name, archive), { code, tables }, name);
  }
  // Why no entry with data is ever written as one without: its rows would be lost without a word.
  const silent = Buffer.concat([only(one), last]);
  const parsed = new TableOfContents(only(one));
  silent[parsed.entries.find(({ id }) => id === wide)?.stateAt ?? 0] = 3;
  assert.deepEqual(await restored("silent", silent), { code: 0, tables: { wide: 0 } });
});
