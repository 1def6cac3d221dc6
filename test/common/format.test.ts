import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes } from "../../common/format.ts";

test("bytes are decimal, with one figure after the point below ten", () => {
  const rows: [number, string][] = [
    [0, "0 bytes"],
    [999, "999 bytes"],
    [1000, "1.0 kB"],
    [1_100_000, "1.1 MB"],
    [9_949_000, "9.9 MB"],
    [9_960_000, "10 MB"],
    [81_586_495, "82 MB"],
    [412_000_000, "412 MB"],
    [999_600_000, "1.0 GB"],
    [2_800_000_000, "2.8 GB"],
    [5e15, "5.0 PB"],
    [5e19, "50000 PB"],
  ];
  for (const [bytes, text] of rows) assert.equal(formatBytes(bytes), text);
});
