import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startProviders } from "../../../sandbox/providers/start.ts";

const store = {
  SANDBOX_S3_ENDPOINT: "http://127.0.0.1:1",
  SANDBOX_S3_REGION: "us-east-1",
  SANDBOX_S3_ACCESS_KEY_ID: "unused",
  SANDBOX_S3_SECRET_ACCESS_KEY: "unused",
};

async function emptyHome(context: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "kpb-home-"));
  context.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const open = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return open;
}

test("stand-ins take the place of plugins that are missing, and end with stop", async (context) => {
  const env = { ...store, PULUMI_HOME: await emptyHome(context), PATH: "/nowhere" };
  const providers = await startProviders({ env });
  const parts = /^aws:(\d+),command:(\d+),docker:(\d+)$/.exec(providers.debugProviders);
  const ports = (parts ?? []).slice(1).map(Number);
  assert.equal(ports.length, 3, providers.debugProviders);
  assert.deepEqual(
    providers.report.map((line) => /^(\w+) [\d.]+: a stand-in/.exec(line)?.[1]),
    ["aws", "command", "docker"],
  );
  assert.deepEqual(await Promise.all(ports.map(listens)), [true, true, true]);
  await providers.stop();
  assert.deepEqual(await Promise.all(ports.map(listens)), [false, false, false]);
});

test("a real plugin of the right version is used and said so; for aws never", async (context) => {
  const home = await emptyHome(context);
  for (const [folder, name] of [
    ["resource-command-v1.2.1", "command"],
    ["resource-docker-v0.0.1", "docker"],
    ["resource-aws-v7.48.0", "aws"],
  ]) {
    await mkdir(join(home, "plugins", `${folder}`), { recursive: true });
    await writeFile(join(home, "plugins", `${folder}`, `pulumi-resource-${name}`), "", {
      mode: 0o755,
    });
  }
  const providers = await startProviders({
    env: { ...store, PULUMI_HOME: home, PATH: "/nowhere" },
  });
  await providers.stop();
  assert.match(providers.debugProviders, /^aws:\d+,docker:\d+$/);
  assert.match(
    providers.report.join("\n"),
    /^command 1\.2\.1: the real plugin, .*resource-command/m,
  );
  assert.match(providers.report.join("\n"), /^aws .*: a stand-in, because the real plugin waits/m);
});

test("a stand-in that cannot start fails with its status, and leaves none behind", async (context) => {
  const env = { PULUMI_HOME: await emptyHome(context), SANDBOX_S3_REGION: "" };
  await assert.rejects(
    startProviders({ env, only: ["command", "aws"] }),
    /the stand-in for the aws provider ended with status 1/,
  );
});

test("a stand-in dies with the process that started it", async () => {
  const start = new URL("../../../sandbox/providers/start.ts", import.meta.url).href;
  const script = `import { startProviders } from ${JSON.stringify(start)};
    console.log((await startProviders({ env: {}, only: ["command"], standIns: "always" })).debugProviders);`;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), "line");
  const port = Number(String(line).split(":")[1]);
  assert.equal(await listens(port), true);
  parent.kill("SIGKILL");
  for (let tries = 0; tries < 100 && (await listens(port)); tries++) await sleep(50);
  assert.equal(await listens(port), false);
});
