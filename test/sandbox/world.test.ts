import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { sandboxId, stateFolder } from "../../sandbox/world/paths.ts";
import { freePort } from "../../sandbox/world/settings.ts";
import { forgetWorld, readWorld, type World, writeWorld } from "../../sandbox/world/world.ts";

const world = (dir: string): World => ({
  id: "0000",
  dir,
  app: { dir: "/a", config: "/a/c.yml", stagingConfig: "/a/s.yml", service: "shop-0000" },
  kamal: "/k",
  ssh: { host: "h", port: 1, user: "u", keyFile: "/f", hostKey: "ssh-ed25519 A", home: "/h" },
  registry: { server: "r", username: "u", password: "p" },
  store: { endpoint: "e", region: "r", accessKeyId: "a", secretAccessKey: "s", container: "c" },
  database: {
    container: "c",
    host: "h",
    port: 1,
    user: "u",
    password: "p",
    name: "app_production",
    sibling: "app_production_queue",
  },
  schedule: "15 3 * * *",
  image: { base: "b" },
});

test("a world is read back as written, by its owner alone, until it is forgotten", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "world-"));
  t.after(() => rmSync(dir, { recursive: true }));
  writeWorld(world(dir));
  assert.deepEqual(readWorld(dir), world(dir));
  assert.equal(statSync(join(dir, "world.json")).mode & 0o777, 0o600);
  forgetWorld(dir);
  assert.throws(() => readWorld(dir), { name: "Problem", message: /npm run sandbox up/ });
});

test("two checkouts have two ids, and one checkout always the same", () => {
  assert.match(sandboxId("/one"), /^[0-9a-f]{4}$/);
  assert.equal(sandboxId("/one"), sandboxId("/one"));
  assert.notEqual(sandboxId("/one"), sandboxId("/two"));
});

test("a second sandbox of a checkout has an id and a folder of its own", () => {
  assert.notEqual(sandboxId("/one", "second"), sandboxId("/one", ""));
  assert.notEqual(sandboxId("/one", "second"), sandboxId("/two", "second"));
  assert.equal(basename(stateFolder("")), ".sandbox");
  assert.equal(basename(stateFolder("second")), ".sandbox-second");
});

test("a port that is taken is not handed out", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  assert.notEqual(await freePort(address.port), address.port);
});
