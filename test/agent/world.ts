import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { AgentEvent } from "../../agent/runtime/reporter.ts";
import { agentContext } from "../../common/agentContext.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { compileCache } from "../../sandbox/world/run.ts";
import { type IamUser, iamUser } from "../support/iamUser.ts";
import {
  type Cluster,
  findServerPrograms,
  query,
  startPostgres,
  type TestPostgres,
} from "../support/servers/postgres.ts";
import { startStore, type TestStore, type TlsFiles } from "../support/servers/store.ts";

/**
 * The agent as one file, as the image has it; its sources would take four times as long to start. Always in one place, by which
 * Node finds what it has compiled of it.
 */
const MAIN = join((await agentContext()).dir, "agent.cjs");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly events: readonly AgentEvent[];
}

/** Why these tests cannot run on this machine; false when they can. */
export const unavailable: string | false =
  (await findServerPrograms()) === undefined
    ? "no PostgreSQL server programs are installed (Debian: apt-get install postgresql)"
    : false;

/** A real database server and a real store, with the agent run against them as the container would. */
export class World {
  readonly postgres: TestPostgres;
  readonly store: TestStore;
  readonly s3: S3Client;
  #buckets = 0;
  /** User of each key made here. */
  readonly #owners = new Map<string, IamUser>();

  constructor(postgres: TestPostgres, store: TestStore) {
    this.postgres = postgres;
    this.store = store;
    this.s3 = new S3Client({
      endpoint: store.endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey },
    });
  }

  static async start(tls?: TlsFiles, cluster?: Cluster): Promise<World> {
    const [postgres, store] = await Promise.allSettled([startPostgres(cluster), startStore(tls)]);
    if (postgres.status === "fulfilled" && store.status === "fulfilled") {
      return new World(postgres.value, store.value);
    }
    if (postgres.status === "fulfilled") await postgres.value.stop();
    if (store.status === "fulfilled") await store.value.stop();
    throw postgres.status === "rejected"
      ? postgres.reason
      : (store as PromiseRejectedResult).reason;
  }

  async stop(): Promise<void> {
    this.s3.destroy();
    await Promise.all([this.postgres.stop(), this.store.stop()]);
  }

  /** A bucket of the test's own and the container's environment for a database. */
  async environment(database: string): Promise<Record<string, string>> {
    const { host, port, user, password } = this.postgres;
    this.#buckets += 1;
    const bucket = `agent-${this.#buckets}`;
    await this.s3.send(new CreateBucketCommand({ Bucket: bucket }));
    return {
      POSTGRES_HOST: host,
      POSTGRES_PORT: String(port),
      POSTGRES_USER: user,
      POSTGRES_PASSWORD: password,
      POSTGRES_DATABASE: database,
      S3_ENDPOINT: this.store.endpoint,
      S3_REGION: "us-east-1",
      S3_BUCKET: bucket,
      S3_PREFIX: "shop/production",
      S3_ACCESS_KEY_ID: this.store.accessKeyId,
      S3_SECRET_ACCESS_KEY: this.store.secretAccessKey,
    };
  }

  /** Makes a database and fills it. */
  async database(name: string, ...statements: string[]): Promise<void> {
    await query(this.postgres, "postgres", `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    await query(this.postgres, name, ...statements);
  }

  /** Drops a database, whoever is connected to it. */
  async drop(name: string): Promise<void> {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    await query(this.postgres, "postgres", `DROP DATABASE ${quoted} WITH (FORCE)`);
  }

  query(database: string, ...statements: string[]) {
    return query(this.postgres, database, ...statements);
  }

  async databases(): Promise<string[]> {
    const rows = await this.query("postgres", "SELECT datname FROM pg_database ORDER BY datname");
    return rows.map((row) => String(row["datname"]));
  }

  /** @param prefix of the keys; the first thousand of them */
  async keys(bucket: string, prefix = ""): Promise<string[]> {
    const listed = await this.s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return (listed.Contents ?? []).map(({ Key }) => Key ?? "").sort();
  }

  async unfinishedUploads(bucket: string): Promise<number> {
    const listed = await this.s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    return (listed.Uploads ?? []).length;
  }

  /** An upload that nobody finishes. */
  async beginUpload(bucket: string, key: string): Promise<void> {
    await this.s3.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
  }

  async read(bucket: string, key: string): Promise<Buffer> {
    const { Body } = await this.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  async write(bucket: string, key: string, body: Buffer | string): Promise<void> {
    await this.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  }

  /** A key of its own that may put objects of this form and do nothing else. */
  keyThatMayPut(resource: string): Promise<Record<string, string>> {
    const Action = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    return this.#key([{ Effect: "Allow", Action, Resource: resource }]);
  }

  /** A key of its own that may do these things in a bucket. */
  keyThatMay(bucket: string, ...Action: string[]): Promise<Record<string, string>> {
    const arn = `arn:aws:s3:::${bucket}`;
    return this.#key([arn, `${arn}/*`].map((Resource) => ({ Effect: "Allow", Action, Resource })));
  }

  /** Takes a key away at once. */
  async revoke(accessKeyId: string): Promise<void> {
    await this.#owners.get(accessKeyId)?.deleteKey(accessKeyId);
  }

  async #key(Statement: readonly object[]): Promise<Record<string, string>> {
    const name = `agent-writer-${this.#owners.size + 1}`;
    const user = await iamUser(this.store, name, { Version: "2012-10-17", Statement });
    const { accessKeyId, secretAccessKey } = user.key;
    this.#owners.set(accessKeyId, user);
    return { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey };
  }

  /**
   * A tablespace `small` on a file system of so many MiB, so that a disk really runs full.
   * @returns undefined where mounting is not allowed
   */
  async smallTablespace(mebibytes: number): Promise<{ unmount(): Promise<void> } | undefined> {
    const dir = await mkdtemp(join(tmpdir(), "small-"));
    const run = promisify(execFile);
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=777`, "tmpfs", dir]);
    } catch {
      await rm(dir, { recursive: true });
      return undefined;
    }
    const folder = join(dir, "space");
    await mkdir(folder);
    await run("chown", ["postgres:", folder]);
    await chmod(dir, 0o755);
    await this.query("postgres", `CREATE TABLESPACE small LOCATION '${folder}'`);
    return {
      unmount: async () => {
        await run("umount", ["-l", dir]);
        await rm(dir, { recursive: true });
      },
    };
  }

  /** Takes a backup that must succeed. */
  async backup(env: Record<string, string>): Promise<Manifest> {
    const outcome = await agent(env, "backup", "--json");
    const event = outcome.events.find((e) => e.event === "backup");
    if (outcome.code !== 0 || event?.event !== "backup") {
      throw new Error(`backup exited with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`);
    }
    return event.manifest;
  }
}

/** What the name of a dump ends with: which one depends on this machine's pg_dump. */
export const DUMP_SUFFIX = /\.(?:pgdump|dump\.zst)(?:\.age)?$/;

/** Key of another part of the same backup, e.g. `manifest.json`. */
export function keyBeside({ object }: Manifest, suffix: string): string {
  return object.key.replace(DUMP_SUFFIX, `.${suffix}`);
}

/** What `pg_restore` reads, made of the decrypted object by stock tools. */
export function archiveOf({ compression }: Manifest, bytes: Buffer): Buffer {
  return compression === "zstd" ? execFileSync("zstd", ["-d", "-c"], { input: bytes }) : bytes;
}

/** A search path on which these shell scripts come first. */
export async function pathWith(t: TestContext, scripts: Record<string, string>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "scripts-"));
  t.after(() => rm(dir, { recursive: true }));
  for (const [name, text] of Object.entries(scripts)) {
    await writeFile(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  return `${dir}:${process.env["PATH"]}`;
}

/** Starts the agent without waiting for it. */
export function startAgent(env: Record<string, string>, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], ...compileCache, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The same with standard input open, as the command line has it while it waits. */
export function attachedAgent(
  env: Record<string, string>,
  command: string,
  ...args: string[]
): ChildProcess & { readonly stdin: Writable } {
  return spawn(process.execPath, [MAIN, command, "--attached", ...args], {
    env: { PATH: process.env["PATH"], ...compileCache, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** Waits for a started agent. */
export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const texts = ["", ""];
  for (const [index, stream] of [child.stdout, child.stderr].entries()) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      texts[index] += chunk;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  const [stdout = "", stderr = ""] = texts;
  const events = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as AgentEvent);
  return { code, stdout, stderr, events };
}

export function agent(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  return outcomeOf(startAgent(env, ...args));
}

/** The same with something on standard input. */
export function agentFed(
  env: Record<string, string>,
  input: string,
  ...args: string[]
): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], ...compileCache, ...env },
    stdio: "pipe",
  });
  child.stdin.end(input);
  return outcomeOf(child);
}

/** The sentence with which a `--json` run failed. */
export function failure(outcome: Outcome): string {
  const event = outcome.events.find((e) => e.event === "error");
  return event?.event === "error" ? event.message : "";
}
