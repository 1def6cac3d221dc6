import type { TocEntry } from "../../../archive/toc/grammar.ts";
import { hasData } from "../../../archive/toc/tableOfContents.ts";

/** `SECTION_NONE` and `SECTION_PRE_DATA` of pg_backup.h. */
const [NONE, PRE_DATA] = [1, 2];

/**
 * What waits for the data although it stands before it. Grants do, because an owner may have taken the right to insert from
 * itself; event triggers, because they would see what pg_restore does.
 */
const NOT_BEFORE_DATA = /^(?:ACL|DEFAULT ACL|EVENT TRIGGER)$/;
/** From 17 on they stand among the data, and large objects cannot be written without them. */
const LARGE_OBJECTS = "BLOB METADATA";

/** The entries of an archive in the order in which they are restored by several connections. */
export interface Sections {
  readonly first: ReadonlySet<number>;
  /** Rows and large objects. */
  readonly data: readonly TocEntry[];
  /** Indexes, constraints, sequences, grants and whatever else needs the data. */
  readonly last: readonly TocEntry[];
}

/** Divides what is wanted of an archive. */
export function sectionsOf(
  entries: readonly TocEntry[],
  wanted: (id: number) => boolean,
): Sections {
  const first = new Set<number>();
  const data: TocEntry[] = [];
  const last: TocEntry[] = [];
  let section = PRE_DATA;
  for (const entry of entries) {
    // A comment, or a grant, has none of its own, and follows what it is about.
    if (entry.section !== NONE) section = entry.section;
    if (!wanted(entry.id)) continue;
    const { type } = entry;
    if (hasData(entry)) data.push(entry);
    else if (type === LARGE_OBJECTS || (section === PRE_DATA && !NOT_BEFORE_DATA.test(type))) {
      first.add(entry.id);
    } else last.push(entry);
  }
  return { first, data, last };
}
