import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import * as docker from "@pulumi/docker";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startRegistry, type TestRegistry, whyNoDocker } from "../../support/servers/registry.ts";

const execute = promisify(execFile);
const skip = await whyNoDocker();
const options = skip === undefined ? {} : { skip };

let registry: TestRegistry;
let project: Project;
let context: string;

before(async () => {
  if (skip !== undefined) return;
  registry = await startRegistry();
  project = await openProject(["docker"]);
  context = await mkdtemp(join(tmpdir(), "kpb-context-"));
  await writeFile(
    join(context, "Dockerfile"),
    "FROM scratch\nARG NOTE\nLABEL note=$NOTE\nCOPY . /\n",
  );
  await writeFile(join(context, ".dockerignore"), "# notes\n**/*.log\n!keep.log\n");
  await writeFile(join(context, "program"), "one");
});

after(async () => {
  if (skip !== undefined) return;
  await project?.close();
  const { stdout } = await execute("docker", ["image", "ls", "--quiet", `${registry.server}/*/*`]);
  const ids = [...new Set(stdout.split("\n").filter(Boolean))];
  if (ids.length > 0) await execute("docker", ["image", "rm", "--force", ...ids]);
  await registry?.stop();
  await rm(context, { recursive: true, force: true });
});

function program(changes: { password?: string; note?: string; skipPush?: boolean } = {}) {
  return async () => {
    const { server, username, password } = registry;
    const image = new docker.Image("agent", {
      imageName: `${server}/team/agent:1`,
      build: { context, args: { NOTE: changes.note ?? "first" } },
      registry: { server, username, password: changes.password ?? password },
      ...(changes.skipPush !== undefined && { skipPush: changes.skipPush }),
    });
    const { repoDigest, imageName, baseImageName, registryServer, dockerfile } = image;
    return {
      repoDigest,
      imageName,
      baseImageName,
      registryServer,
      dockerfile,
      context: image.context,
    };
  };
}

let digest = "";

test("a preview builds nothing", options, async () => {
  assert.deepEqual((await project.preview(program())).steps, { agent: "create" });
  const { stdout } = await execute("docker", ["image", "ls", "--quiet", `${registry.server}/*/*`]);
  assert.equal(stdout, "");
});

test("up builds and pushes, and gives the digest that the registry has", options, async () => {
  await project.up(program());
  const outputs = await project.outputs();
  const repository = `${registry.server}/team/agent`;
  digest = outputs["repoDigest"]?.value;
  assert.match(digest, new RegExp(`^${repository}@sha256:[0-9a-f]{64}$`));
  assert.equal(outputs["imageName"]?.value, `${repository}:1`);
  assert.equal(outputs["baseImageName"]?.value, `${repository}:1`);
  assert.equal(outputs["registryServer"]?.value, registry.server);
  assert.equal(outputs["dockerfile"]?.value, "Dockerfile");
  assert.equal(outputs["context"]?.value, context);
  const manifest = await registry.get(`team/agent/manifests/${digest.split("@")[1]}`);
  assert.equal(manifest.status, 200);
});

test("the registry's password stands nowhere in plain", options, async () => {
  const state = await project.state();
  assert.ok(state.includes("docker:index/image:Image"));
  assert.ok(!state.includes(registry.password));
  assert.deepEqual(await project.leftovers(), []);
});

test("a second up, a new password and an ignored file change nothing", options, async () => {
  await writeFile(join(context, "build.log"), "noise");
  const { steps } = await project.up(program({ password: "another" }));
  const outputs = await project.outputs();
  assert.deepEqual(steps, { agent: "same" });
  assert.equal(outputs["repoDigest"]?.value, digest);
  assert.equal((await project.drift(program())).code, 0);
});

test("a changed file or argument is an update with another digest", options, async () => {
  await writeFile(join(context, "program"), "two");
  const file = await project.up(program());
  assert.deepEqual(file.steps, { agent: "update" });
  assert.deepEqual(file.diffs["agent"], ["build.contextDigest"]);
  const second = (await project.outputs())["repoDigest"]?.value;
  assert.notEqual(second, digest);
  await writeFile(join(context, "keep.log"), "an exception to what is ignored");
  assert.deepEqual((await project.preview(program())).steps, { agent: "update" });
  await project.up(program({ note: "second" }));
  assert.notEqual((await project.outputs())["repoDigest"]?.value, second);
});

test("what cannot be pushed or found fails with the reason", options, async () => {
  const refused = await project.failure(program({ password: "wrong", note: "third" }));
  assert.match(refused, /docker login failed.*\n.*unauthorized/i);
  const missing = await project.failure(async () => {
    new docker.Image("agent", { imageName: "x/y:1", build: { context: join(context, "nowhere") } });
  });
  assert.match(missing, /could not open dockerfile at path ".*nowhere\/Dockerfile"/);
});

test("without a push the digest is the local image's id", options, async () => {
  await project.up(program({ skipPush: true }));
  const outputs = await project.outputs();
  assert.match(outputs["repoDigest"]?.value, /^sha256:[0-9a-f]{64}$/);
});

test("destroy leaves the pushed image in the registry", options, async () => {
  await project.destroy(program());
  const manifest = await registry.get(`team/agent/manifests/${digest.split("@")[1]}`);
  assert.equal(manifest.status, 200);
});
