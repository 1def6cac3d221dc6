import assert from "node:assert/strict";
import { test } from "node:test";
import { removeImages } from "../../sandbox/commands/down.ts";
import { docker } from "../../sandbox/host/docker.ts";

/** No registry listens there, and no other sandbox has it. */
const server = `127.0.0.1:1/down-${process.pid}/`;
const emptyTar = Buffer.alloc(1024);

test("an image that somebody else's container runs on stays, the others go", async (t) => {
  const container = `down-${process.pid}`;
  for (const name of ["used", "free"]) {
    await docker(["import", "-", `${server}${name}:1`], { input: emptyTar.toString() });
  }
  await docker(["container", "create", "--name", container, `${server}used:1`, "nothing"]);
  t.after(async () => {
    await docker(["container", "rm", container]);
    assert.deepEqual((await removeImages(server)).inUse, []);
  });

  assert.deepEqual(await removeImages(server), {
    removed: [`${server}free:1`],
    inUse: [`${server}used:1`],
  });
});
