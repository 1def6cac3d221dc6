import assert from "node:assert/strict";
import { test } from "node:test";
import { placeInMemory, type Room, requireDisk } from "../../../../cli/restore/pull/room.ts";

const MiB = 1024 ** 2;
const room = (over: Partial<Room> = {}): Room => ({
  ...{ memory: 8192 * MiB, disk: 100_000 * MiB, swaps: false },
  ...over,
});

test("masking has twice the database and a cluster in memory, and leaves the rest to others", () => {
  // 384 MiB for the cluster; 1 GiB stays for processes, agent and program.
  assert.deepEqual(placeInMemory(room(), 1000 * MiB, false), { kind: "memory", bytes: 2384 * MiB });
  const most = (8192 - 1024 - 384) / 2;
  assert.deepEqual(placeInMemory(room(), most * MiB, false), { kind: "memory", bytes: 7168 * MiB });
  assert.throws(() => placeInMemory(room(), (most + 1) * MiB, false), {
    message:
      "masking 3.6 GB wants 8.6 GB of memory, since unmasked rows never lie on a disk here, and 8.6 GB are free. Pull a part with --table, or use the Docker of a machine with more memory: DOCKER_HOST=ssh://USER@HOST.",
  });
});

test("a part, of which the size is not known, gets what there is", () => {
  assert.deepEqual(placeInMemory(room(), 100_000 * MiB, true), {
    kind: "memory",
    bytes: 7168 * MiB,
  });
  assert.throws(() => placeInMemory(room({ memory: 1400 * MiB }), 100_000 * MiB, true), /are free/);
});

test("memory that may be swapped out is no place for what must not reach a disk", () => {
  assert.throws(() => placeInMemory(room({ swaps: true }), MiB, false), /swapoff -a/);
});

test("a database that the disk cannot hold is refused with both figures", () => {
  requireDisk(room({ disk: 10 * MiB }), 10 * MiB);
  assert.throws(() => requireDisk(room({ disk: 10 * MiB }), 11 * MiB), {
    message:
      "the database has 12 MB, and Docker's disk has 10 MB free. Make room, or pull a part with --table.",
  });
});
