import { availableParallelism } from "node:os";
import type { Block } from "../../../archive/indexedArchive.ts";
import type { TocEntry } from "../../../archive/toc/grammar.ts";
import type { Sections } from "./sections.ts";

/** Bytes for this process itself, and for each worker: two ranges on their way and a pg_restore. */
const [OWN_MEMORY, WORKER_MEMORY] = [96 * 2 ** 20, 40 * 2 ** 20];
const MOST = 16;

/** How many connections load at once: one for each core that the container's memory has room for. */
export function defaultJobs(
  memory = process.constrainedMemory(),
  cores = availableParallelism(),
): number {
  const room = memory > 0 ? Math.floor((memory - OWN_MEMORY) / WORKER_MEMORY) : MOST;
  return Math.max(1, Math.min(cores, room, MOST));
}

/** One run of pg_restore. */
export interface Job {
  /** Entries whose data is loaded, in the order of the archive. */
  readonly data: readonly TocEntry[];
  /** Made when that is done, each by a run of its own. */
  readonly indexes: readonly TocEntry[];
}

/** From so many pieces on a table is large: 8 MiB of text. */
const LARGE = 64;
/** A run of pg_restore takes 16 ms by itself, so small tables share one. */
const [MOST_TOGETHER, PIECES_TOGETHER] = [500, 512];
/** Rows that go to whichever partition they belong to, as pg_dump has it with hash partitions by an enum. */
const VIA_ROOT = "load via partition root";

/** Divides the data into runs of pg_restore, those that take longest first. */
export function jobsOf({ first, data, last }: Sections, blocks: ReadonlyMap<number, Block>): Job[] {
  const pieces = ({ id }: TocEntry) => blocks.get(id)?.pieces ?? 0;
  const known = new Set([...first, ...data.map(({ id }) => id)]);
  const absent = new Set(last.map(({ id }) => id));
  const jobs: Job[] = [];
  let together: TocEntry[] = [];
  for (const entry of data) {
    if (pieces(entry) >= LARGE) {
      jobs.push({ data: [entry], indexes: indexesOf(entry, last, { known, absent }) });
      continue;
    }
    together.push(entry);
    if (together.length >= MOST_TOGETHER || sum(together.map(pieces)) >= PIECES_TOGETHER) {
      jobs.push({ data: together, indexes: [] });
      together = [];
    }
  }
  if (together.length > 0) jobs.push({ data: together, indexes: [] });
  const size = ({ data }: Job) => sum(data.map(pieces));
  return jobs.sort((a, b) => size(b) - size(a));
}

/** Indexes and keys of a table that need nothing but it and what was made before the data. Keys come first: others need them. */
function indexesOf(
  { needs: tables, definition, type }: TocEntry,
  last: readonly TocEntry[],
  { known, absent }: { readonly known: ReadonlySet<number>; readonly absent: ReadonlySet<number> },
): TocEntry[] {
  if (type !== "TABLE DATA" || definition.includes(VIA_ROOT)) return [];
  const own = last.filter(
    ({ type, needs }) =>
      /^(?:CONSTRAINT|INDEX)$/.test(type) &&
      needs.some((need) => tables.includes(need) && known.has(need)) &&
      !needs.some((need) => absent.has(need)),
  );
  return own.sort((a, b) => (a.type === b.type ? 0 : a.type === "CONSTRAINT" ? -1 : 1));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
