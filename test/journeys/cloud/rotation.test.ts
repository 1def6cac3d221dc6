import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { IAMClient, ListAccessKeysCommand } from "@aws-sdk/client-iam";
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf } from "../../../sandbox/stack/actors.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";

const OFTEN = { schedule: "@every 2s" };
let journey: Journey;
let container: string;
let location: { readonly bucket: string; readonly prefix: string };

before(async () => {
  journey = await begin(OFTEN);
  ({ container, location } = await outputsOf(journey.stack));
});
after(() => journey.stack.close());

async function ups() {
  const result = await journey.stack.up();
  assert.equal(result.code, 0, result.output);
  return result;
}

interface Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

async function keysInContainer(): Promise<Key & { readonly signingKeys: string }> {
  const format = "{{range .Config.Env}}{{println .}}{{end}}";
  const { stdout } = await docker(["container", "inspect", "-f", format, container]);
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  return {
    accessKeyId: value("S3_ACCESS_KEY_ID"),
    secretAccessKey: value("S3_SECRET_ACCESS_KEY"),
    signingKeys: value("SIGNING_KEYS"),
  };
}

function listWith(credentials: Key) {
  const { endpoint, region } = journey.world.store;
  const s3 = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  return s3.send(
    new ListObjectsV2Command({ Bucket: location.bucket, Prefix: `${location.prefix}/` }),
  );
}

/** What the agent in the container says of its backups, a line each. */
async function listed(): Promise<string[]> {
  const { stdout } = await docker(["exec", container, "agent", "list"]);
  return stdout.split("\n").filter((line) => /^ {2}\d{4}-/.test(line));
}

/** Ids of all keys of the user that has this one. */
async function keysBeside(id: string, userOf: (key: string) => string): Promise<string[]> {
  const { endpoint, region } = journey.world.store;
  const iam = new IAMClient({ endpoint, region, credentials: journey.world.store });
  const { AccessKeyMetadata = [] } = await iam.send(
    new ListAccessKeysCommand({ UserName: userOf(id) }),
  );
  return AccessKeyMetadata.map(({ AccessKeyId = "" }) => AccessKeyId);
}

/** Name of the writer's user, from the stack's state. */
async function writersUser(): Promise<string> {
  const { deployment } = await journey.stack.stack.exportStack();
  const found = (deployment.resources as { urn: string; id?: string }[]).find(({ urn }) =>
    urn.endsWith("::shop-keys-user"),
  );
  return found?.id ?? "";
}

/** Follows the log of a container until it is gone. */
function follow(name: string) {
  const child = spawn("docker", ["logs", "--follow", "--since", "0s", name], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return { process: child, ended: once(child, "close"), text: () => text };
}

/** Waits for a backup's end, which takes as long as the machine is busy. */
function completed({ text }: ReturnType<typeof follow>, by: string): Promise<true> {
  return eventually(`A backup by ${by}`, 240_000, async () =>
    text().includes("Backup complete") ? true : undefined,
  );
}

async function manifests(): Promise<string[]> {
  const keys: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await administrator(journey.world).send(
      new ListObjectsV2Command({
        Bucket: location.bucket,
        Prefix: `${location.prefix}/`,
        ...(ContinuationToken !== undefined && { ContinuationToken }),
      }),
    );
    for (const { Key = "" } of page.Contents ?? []) {
      if (Key.endsWith(".manifest.json")) keys.push(Key);
    }
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return keys;
}

/** When each step on a resource of ours began and ended, in the engine's order. */
function stepsOf(events: readonly EngineEvent[]): string[] {
  return events.flatMap(({ resourcePreEvent, resOutputsEvent }) => {
    const metadata = resourcePreEvent?.metadata ?? resOutputsEvent?.metadata;
    if (metadata === undefined || metadata.op === "refresh" || metadata.op === "same") return [];
    const name = metadata.urn.split("::").at(-1);
    return [`${metadata.op} ${name} ${resourcePreEvent ? "begins" : "ends"}`];
  });
}

test("keys are rotated while a backup runs every 2 s, and none fails", async () => {
  const old = await keysInContainer();
  await listWith(old);
  const before = new Set(await manifests());
  const oldLog = follow(container);
  await completed(oldLog, "the container with the old key");

  journey.stack.configure({ ...OFTEN, rotateAfter: `2026-12 ${Date.now()}` });
  const { events, output } = await ups();
  const { stdout: id } = await docker(["container", "inspect", "-f", "{{.Id}}", container]);
  const newLog = follow(id.trim());
  await oldLog.ended;
  await completed(newLog, "the container with the new key");
  const since = async () => (await manifests()).filter((key) => !before.has(key)).toSorted();
  const made = await eventually("The fourth backup", 240_000, async () => {
    const keys = await since();
    return keys.length >= 4 ? keys : undefined;
  });
  newLog.process.kill();

  const fresh = await keysInContainer();
  assert.notEqual(fresh.accessKeyId, old.accessKeyId, output);
  // The new key signs, and the earlier ones check what they have signed.
  assert.match(fresh.signingKeys, /^[\w-]{43},/);
  assert.equal(fresh.signingKeys.slice(44), old.signingKeys);
  assert.doesNotMatch((await listed()).join("\n"), /signed/);
  for (const { text } of [oldLog, newLog]) {
    assert.match(text(), /Backup complete/);
    assert.doesNotMatch(text(), /error|failed|stopped/i);
  }
  const stamps = made.map((key) => Date.parse(`${/_([^_]+)\.manifest/.exec(key)?.[1]}Z`));
  const gaps = stamps.slice(1).map((stamp, i) => (stamp - (stamps[i] ?? 0)) / 1000);
  console.log(`# ${made.length} backups, the longest gap ${Math.max(...gaps)} s`);

  const steps = stepsOf(events);
  const at = (step: string) => {
    const index = steps.indexOf(step);
    assert.notEqual(index, -1, `${step} is not among\n${steps.join("\n")}`);
    return index;
  };
  const boot = steps.find((line) => /^update shop-boot-.* ends$/.test(line)) ?? "no boot";
  assert.ok(at("create-replacement shop-keys-key ends") < at("update shop-key-probe begins"));
  assert.ok(at("update shop-key-probe ends") < at(boot));
  assert.ok(at(boot) < at("delete-replaced shop-keys-key begins"), steps.join("\n"));

  const user = await writersUser();
  assert.deepEqual(await keysBeside(fresh.accessKeyId, () => user), [fresh.accessKeyId]);
  await assert.rejects(listWith(old), { name: "InvalidAccessKeyId" });
  await listWith(fresh);
});

test("nothing has changed after that", async () => {
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});

test("a rotation whose container is not fit leaves the old container with its key; the next up mends it", async () => {
  const old = await keysInContainer();
  const user = await writersUser();
  const rotated = { ...OFTEN, rotateAfter: `2027-01 ${Date.now()}` };
  journey.stack.configure({ ...rotated, databasePassword: "not-this-one" });
  const failed = await journey.stack.up();
  assert.notEqual(failed.code, 0);
  assert.match(failed.output, /not fit to back up/);
  assert.match(failed.output, /the previous container is back/);
  assert.deepEqual(await keysInContainer(), old);
  await listWith(old);
  const { length } = await manifests();
  await eventually("a backup by the container that is back", 60_000, async () =>
    (await manifests()).length > length ? true : undefined,
  );
  assert.equal((await keysBeside(old.accessKeyId, () => user)).length, 2);

  journey.stack.configure(rotated);
  await ups();
  const fresh = await keysInContainer();
  assert.notEqual(fresh.accessKeyId, old.accessKeyId);
  assert.equal(fresh.signingKeys.length, old.signingKeys.length + 44);
  assert.ok(fresh.signingKeys.endsWith(`,${old.signingKeys}`));
  assert.deepEqual(await keysBeside(fresh.accessKeyId, () => user), [fresh.accessKeyId]);
  await assert.rejects(listWith(old), { name: "InvalidAccessKeyId" });
});
