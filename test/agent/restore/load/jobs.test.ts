import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TableOfContents } from "../../../../agent/archive/toc/tableOfContents.ts";
import { defaultJobs, jobsOf } from "../../../../agent/restore/load/parts/jobs.ts";
import { Queue } from "../../../../agent/restore/load/parts/queue.ts";
import { sectionsOf } from "../../../../agent/restore/load/parts/sections.ts";
import { type MadeEntry, madeArchive } from "../../../support/archive.ts";

const MIB = 2 ** 20;
/** Sections of pg_backup.h. */
const [NONE, PRE, DATA, POST] = [1, 2, 3, 4];

function divided(entries: readonly MadeEntry[], pieces: Record<number, number> = {}) {
  const archive = madeArchive(
    entries.map((entry) => (entry.data ? { ...entry, data: [] } : entry)),
  );
  const rows = entries.filter(({ data }) => data).length;
  const toc = new TableOfContents(archive.subarray(0, archive.length - rows * 11));
  const sections = sectionsOf(toc.entries, () => true);
  const blocks = new Map(
    sections.data.map(({ id }) => [id, { start: 0, bytes: 1, pieces: pieces[id] ?? 1 }]),
  );
  const jobs = jobsOf(sections, blocks).map(({ data, indexes }) => [
    data.map(({ id }) => id),
    indexes.map(({ id }) => id),
  ]);
  return { sections, jobs };
}

describe("a restore by several connections", () => {
  it("has the definitions first, and what needs the rows last", () => {
    const { sections } = divided([
      { id: 1, type: "TABLE", section: PRE },
      { id: 2, type: "COMMENT", section: NONE },
      { id: 3, type: "ACL", section: NONE },
      { id: 4, type: "DEFAULT ACL", section: PRE },
      { id: 5, type: "EVENT TRIGGER", section: PRE },
      { id: 6, type: "BLOB METADATA", section: DATA },
      { id: 7, data: [] },
      { id: 8, type: "BLOBS", data: [] },
      { id: 9, type: "SEQUENCE SET", section: DATA },
      { id: 10, type: "STATISTICS DATA", section: DATA },
      { id: 11, type: "INDEX", section: POST },
      { id: 12, type: "COMMENT", section: NONE },
      { id: 13, type: "MATERIALIZED VIEW DATA", section: POST },
    ]);
    assert.deepEqual([...sections.first], [1, 2, 6]);
    assert.deepEqual(
      sections.data.map(({ id }) => id),
      [7, 8],
    );
    assert.deepEqual(
      sections.last.map(({ id }) => id),
      [3, 4, 5, 9, 10, 11, 12, 13],
    );
  });

  it("begins with the largest, puts small tables together, and makes a large one's own indexes at once", () => {
    const table = (id: number, definition?: string) => [
      { id, type: "TABLE", section: PRE },
      { id: id + 1, data: [], needs: [id], ...(definition && { definition }) },
    ];
    const { jobs } = divided(
      [
        ...table(10),
        ...table(20),
        ...table(30),
        ...table(40, "-- load via partition root public.t1"),
        { id: 60, type: "INDEX", section: POST, needs: [20] },
        { id: 61, type: "CONSTRAINT", section: POST, needs: [20] },
        { id: 62, type: "FK CONSTRAINT", section: POST, needs: [20, 61] },
        { id: 63, type: "INDEX", section: POST, needs: [20, 64] },
        { id: 64, type: "INDEX", section: POST, needs: [10] },
        { id: 65, type: "INDEX", section: POST, needs: [40] },
      ],
      { 11: 3, 21: 100, 31: 5, 41: 900 },
    );
    assert.deepEqual(jobs, [
      [[41], []],
      [[21], [61, 60]],
      [[11, 31], []],
    ]);
  });

  it("takes few runs for 10,000 tables", () => {
    const entries = Array.from({ length: 10_000 }, (_, at) => ({ id: at + 1, data: [] }));
    const { jobs } = divided(entries);
    assert.equal(jobs.length, 20);
    assert.equal(jobs.flatMap(([data]) => data).length, 10_000);
  });

  for (const [memory, cores, jobs] of [
    [256 * MIB, 2, 2],
    [256 * MIB, 8, 4],
    [128 * MIB, 8, 1],
    [64 * MIB, 8, 1],
    [0, 64, 16],
    [64 * 1024 * MIB, 1, 1],
  ] as const) {
    it(`takes ${jobs} with ${cores} cores and ${memory / MIB} MiB`, () => {
      assert.equal(defaultJobs(memory, cores), jobs);
    });
  }
});

describe("the queue of a restore", () => {
  const job = (id: number, indexes: readonly number[] = []) =>
    ({ data: [{ id }], indexes: indexes.map((index) => ({ id: index })) }) as never;

  it("gives the indexes of a table that came last to every worker", async () => {
    const busy = { now: 0, most: 0 };
    const both = Promise.withResolvers<void>();
    const queue = new Queue([job(1, [11, 12]), job(2)], {
      runData: async () => {},
      runIndex: async () => {
        busy.now += 1;
        busy.most = Math.max(busy.most, busy.now);
        if (busy.now === 2) both.resolve();
        await both.promise;
        busy.now -= 1;
      },
    });
    await queue.run(2, () => {});
    assert.equal(busy.most, 2);
  });

  it("begins nothing more after a failure, and throws the first one", async () => {
    const begun: number[] = [];
    const failures: unknown[] = [];
    const stopped = Promise.withResolvers<void>();
    const queue = new Queue([job(1), job(2), job(3)], {
      runData: async ([entry]) => {
        begun.push(entry?.id ?? 0);
        if (entry?.id === 1) throw new Error("the first");
        await stopped.promise;
        throw new Error("stopped");
      },
      runIndex: async () => {},
    });
    const run = queue.run(2, (error) => {
      failures.push(error);
      stopped.resolve();
    });
    await assert.rejects(run, /the first/);
    assert.deepEqual(begun, [1, 2]);
    assert.match(String(failures[0]), /the first/);
  });
});
