import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { fillOffsets } from "../../../agent/archive/toc/fillOffsets.ts";
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
