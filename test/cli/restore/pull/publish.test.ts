import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";

/** Docker that cannot start a server on this port. */
const DOCKER = `#!/bin/sh
echo "$1 $2 $3 $4" >> "$BOX/calls"
[ "$1" != "$FAILS" ] || { echo "port is already allocated" >&2; exit 125; }
`;

const PUBLISH = `
  import { publish } from ${JSON.stringify(resolve("cli/restore/pull/localServer.ts"))};
  const server = { name: "shop", volume: "shop-2", image: "postgres:17", superuser: "app" };
  const earlier = { volume: "shop-1", port: 5433 };
  await publish({ ...server, port: 5433, password: "x", earlier }).catch((error) => console.log(error.message));
`;

/** What docker was asked for by a publication of which one step fails. */
async function published(t: TestContext, fails: string) {
  const box = mkdtempSync(join(tmpdir(), "publish-"));
  t.after(() => rmSync(box, { recursive: true }));
  mkdirSync(join(box, "bin"));
  writeFileSync(join(box, "bin/docker"), DOCKER, { mode: 0o755 });
  const child = spawn(process.execPath, ["--input-type=module", "--eval", PUBLISH], {
    env: {
      ...process.env,
      PATH: `${join(box, "bin")}:${process.env["PATH"]}`,
      BOX: box,
      HOME: box,
      FAILS: fails,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.on("data", (text: Buffer) => {
    out += text;
  });
  await once(child, "close");
  assert.ok(!existsSync(join(box, ".kamal-postgres-backup")));
  return { out, calls: readFileSync(join(box, "calls"), "utf8").trim().split("\n") };
}

test("a new server that does not start: the earlier one has its name again, and runs", async (t) => {
  const { out, calls } = await published(t, "run");
  assert.equal(out, "the server could not be started: port is already allocated.\n");
  assert.deepEqual(calls, [
    "stop --time 120 shop",
    "rename shop shop-before ",
    "run --detach --name shop",
    "rm --force --volumes shop",
    "rename shop-before shop ",
    "start shop",
  ]);
});

test("an earlier server that cannot be stopped or renamed is not taken away", async (t) => {
  const stop = await published(t, "stop");
  assert.deepEqual(stop.calls, ["stop --time 120 shop", "start shop"]);
  const rename = await published(t, "rename");
  assert.deepEqual(rename.calls, [
    "stop --time 120 shop",
    "rename shop shop-before ",
    "start shop",
  ]);
});
