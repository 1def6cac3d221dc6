import assert from "node:assert/strict";
import { test } from "node:test";
import {
  lsnText,
  segmentName,
  segmentPlace,
  segmentStart,
  walBytes,
} from "../../../storage/catalogue/walPosition.ts";

const MiB = 1024 * 1024;

/** As `pg_walfile_name(lsn)` of PostgreSQL 15 and 17 answers; with other sizes as `--wal-segsize` makes them. */
const table: readonly [lsn: string, timeline: number, segmentBytes: number, name: string][] = [
  ["0/1000000", 1, 16 * MiB, "000000010000000000000001"],
  ["0/1FFFFFF", 1, 16 * MiB, "000000010000000000000001"],
  ["0/FF000028", 3, 16 * MiB, "0000000300000000000000FF"],
  ["1/0", 3, 16 * MiB, "000000030000000100000000"],
  ["16/B374D848", 1, 16 * MiB, "0000000100000016000000B3"],
  ["16/B374D848", 18, 64 * MiB, "00000012000000160000002C"],
  ["2/40000000", 1, 1024 * MiB, "000000010000000200000001"],
];

for (const [lsn, timeline, segmentBytes, name] of table) {
  test(`${lsn} lies in ${name} of ${segmentBytes / MiB} MiB`, () => {
    const place = walBytes(lsn);
    assert.equal(lsnText(place), lsn);
    assert.equal(segmentName(timeline, place, segmentBytes), name);
    const segment = segmentPlace(name, segmentBytes);
    assert.equal(segment.timeline, timeline);
    assert.equal(segment.from, segmentStart(place, segmentBytes));
    assert.equal(segment.to - segment.from, BigInt(segmentBytes));
  });
}
