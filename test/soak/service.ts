/** An S3 service of the soak's own, which may be killed and paused, and what an administrator sees in its bucket. */
import { createHash, randomBytes } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { type Manifest, parseManifest } from "../../common/contracts/manifest.ts";
import { checkSignature, parseSigningKeys } from "../../common/contracts/manifestMac.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { sandboxLabel } from "../../sandbox/world/paths.ts";
import { eventually } from "../../sandbox/world/run.ts";
import type { World } from "../../sandbox/world/world.ts";
import { writerPolicy } from "../../storage/bucket/iamPolicies.ts";
import { parseKey } from "../../storage/catalogue/objectKeys.ts";
import { iamUser, type Key } from "../support/iamUser.ts";

const PORT = 8333;
const BUCKET = "soak";
/** Folder of everything that the soak stores: the writer's key has no right outside of it. */
export const FOLDER = "soak";
const ADMINISTRATOR: Key = {
  accessKeyId: "SOAKADMINISTRATOR000",
  secretAccessKey: "soak-administrator",
};
/** By which the agent signs, as every container that the component boots does. */
export const SIGNING_KEYS = randomBytes(32).toString("base64url");
/** Written and taken away to see whether the service works. */
const PROBE = "probe";
const ANSWERS_WITHIN_MS = 60_000;
const WRITES_WITHIN_MS = 15_000;

/** What lies in the bucket beside whole backups. */
export interface Debris {
  /** Keys of dumps and roles of which there is no manifest. */
  readonly orphans: readonly string[];
  /** `KEY UPLOAD` of uploads that were begun and not ended. */
  readonly uploads: readonly string[];
}

/** One manifest as it lies there, held against what it speaks of. */
export interface StoredBackup {
  readonly key: string;
  readonly manifest: Manifest;
  /** What is wrong with it and the objects that it names; empty: it is signed, and they are there with its bytes and digest. */
  readonly faults: readonly string[];
}

export class Service {
  readonly container: string;
  readonly #world: World;
  readonly #network: string;
  #key: Key | undefined;
  #client: { readonly address: string; readonly s3: S3Client } | undefined;

  constructor(world: World, network: string, name: string) {
    this.#world = world;
    this.#network = network;
    this.container = name;
  }

  /** Starts it anew, without data. */
  async start(): Promise<void> {
    await removeContainer(this.container);
    this.#forget();
    const found = await docker(["container", "inspect", this.#world.store.container]);
    const [like] = JSON.parse(found.stdout) as [
      { Path: string; Args: string[]; Config: { Image: string }; HostConfig: { Binds: string[] } },
    ];
    const program = like.HostConfig.Binds.filter((bind) => bind.endsWith("/weed:ro"));
    const env = {
      AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
    };
    await docker(
      [
        ...["run", "--detach", "--name", this.container, "--network", this.#network],
        ...["--label", `${sandboxLabel}=${this.#world.id}`],
        ...Object.keys(env).flatMap((name) => ["--env", name]),
        ...["--volume", "/data", ...program.flatMap((bind) => ["--volume", bind])],
        ...["--entrypoint", like.Path, like.Config.Image, ...like.Args],
      ],
      { env },
    );
    await this.#use((s3) => s3.send(new CreateBucketCommand({ Bucket: BUCKET })));
    const { address } = await this.#open();
    const policy = writerPolicy({ bucket: BUCKET, prefix: FOLDER, read: true });
    const endpoint = `http://${address}:${PORT}`;
    this.#key = (await iamUser({ endpoint, ...ADMINISTRATOR }, "soak-writer", policy)).key;
  }

  /** What the container's environment says of it. @param prefix before each name: `COPY_` for the second place */
  environment(folder: string, prefix = ""): Record<string, string> {
    const variables = {
      S3_ENDPOINT: `http://${this.container}:${PORT}`,
      S3_ALLOW_INSECURE: "true",
      S3_REGION: "us-east-1",
      S3_BUCKET: BUCKET,
      S3_PREFIX: folder,
      S3_ACCESS_KEY_ID: this.#key?.accessKeyId ?? "",
      S3_SECRET_ACCESS_KEY: this.#key?.secretAccessKey ?? "",
    };
    return Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [`${prefix}${name}`, value]),
    );
  }

  /** False when it does not write and read any more, as after a kill that left half of its own data. */
  async writes(): Promise<boolean> {
    try {
      await eventually(this.container, WRITES_WITHIN_MS, async () => {
        this.#forget();
        const { s3 } = await this.#open();
        const limit = () => ({ abortSignal: AbortSignal.timeout(3_000) });
        await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: PROBE, Body: "x" }), limit());
        await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: PROBE }), limit());
        return true;
      });
      return true;
    } catch {
      return false;
    }
  }

  async keys(): Promise<string[]> {
    return this.#use(async (s3) => {
      const keys: string[] = [];
      let next: string | undefined;
      do {
        const page = await s3.send(
          new ListObjectsV2Command({ Bucket: BUCKET, ...(next && { ContinuationToken: next }) }),
        );
        keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ""));
        next = page.NextContinuationToken;
      } while (next !== undefined);
      return keys;
    });
  }

  async debris(): Promise<Debris> {
    const keys = await this.keys();
    const complete = new Set(keys.filter((key) => key.endsWith(MANIFEST)).map(backupOf));
    const listed = await this.#use((s3) =>
      s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET })),
    );
    return {
      // What is no part of a backup, such as the record of a restore, belongs to none either.
      orphans: keys.filter((key) => isPart(key) && !complete.has(backupOf(key))),
      uploads: (listed.Uploads ?? []).map(({ Key, UploadId }) => `${Key} ${UploadId}`),
    };
  }

  /** The manifests that are none of these, with what they speak of. */
  async newBackups(known: ReadonlySet<string>): Promise<StoredBackup[]> {
    const keys = (await this.keys()).filter((key) => key.endsWith(MANIFEST) && !known.has(key));
    return Promise.all(
      keys.map(async (key) => {
        const text = (await this.#read(key)).toString();
        const manifest = parseManifest(text, key);
        const signature = checkSignature(JSON.parse(text), parseSigningKeys(SIGNING_KEYS, "soak"));
        const named = [manifest.object, ...(manifest.globals === null ? [] : [manifest.globals])];
        const faults = await Promise.all(
          named.map(async ({ key: part, bytes, sha256 }) => {
            const body = await this.#read(part).catch((error: Error) => error);
            if (body instanceof Error) return `${part}: ${body.message}`;
            if (body.length !== bytes) return `${part}: ${body.length} bytes instead of ${bytes}`;
            const digest = createHash("sha256").update(body).digest("hex");
            return digest === sha256 ? "" : `${part}: another SHA-256 than its manifest's`;
          }),
        );
        if (signature !== "signed") faults.push(`${key}: its signature is "${signature}"`);
        return { key, manifest, faults: faults.filter((fault) => fault !== "") };
      }),
    );
  }

  /** Takes away all but the newest backups of each database in each folder, and everything that belongs to none. */
  async thinOut(kept: number): Promise<void> {
    const keys = await this.keys();
    const { orphans, uploads } = await this.debris();
    const groups = Map.groupBy(
      keys
        .filter((key) => key.endsWith(MANIFEST))
        .toSorted()
        .toReversed(),
      (key) => backupOf(key).replace(/[^_]*$/, ""),
    );
    const old = new Set([...groups.values()].flatMap((group) => group.slice(kept)).map(backupOf));
    const doomed = [...orphans, ...keys.filter((key) => old.has(backupOf(key)))];
    await this.#use(async (s3) => {
      for (const Key of doomed) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
      for (const upload of uploads) {
        const [Key = "", UploadId = ""] = upload.split(" ");
        const command = new AbortMultipartUploadCommand({ Bucket: BUCKET, Key, UploadId });
        await s3.send(command).catch(() => {});
      }
      return true;
    });
  }

  close(): void {
    this.#forget();
  }

  async #read(key: string): Promise<Buffer> {
    return this.#use(async (s3) => {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    });
  }

  /** Tried again for a while: it may have been started a moment ago, at another address than before. */
  async #use<T extends object | true>(work: (s3: S3Client) => Promise<T>): Promise<T> {
    return eventually(this.container, ANSWERS_WITHIN_MS, async () => {
      try {
        return await work((await this.#open()).s3);
      } catch (error) {
        this.#forget();
        throw error;
      }
    });
  }

  async #open() {
    if (this.#client !== undefined) return this.#client;
    const address = await addressOf(this.container, this.#network);
    const s3 = new S3Client({
      endpoint: `http://${address}:${PORT}`,
      region: "us-east-1",
      forcePathStyle: true,
      maxAttempts: 1,
      // A service that was killed may take a request and never answer it.
      requestHandler: {
        connectionTimeout: 3_000,
        requestTimeout: 20_000,
        throwOnRequestTimeout: true,
      },
      credentials: ADMINISTRATOR,
    });
    this.#client = { address, s3 };
    return this.#client;
  }

  #forget(): void {
    this.#client?.s3.destroy();
    this.#client = undefined;
  }
}

/** Where this machine reaches a container, which may change when it is started again. */
export async function addressOf(container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await docker(["container", "inspect", "--format", format, container])).stdout.trim();
}

const MANIFEST = ".manifest.json";

const prefixOf = (key: string) => key.split("/").slice(0, 2).join("/");
const isPart = (key: string) => parseKey(prefixOf(key), key) !== undefined;

/** Folder, database and time: what the parts of one backup have in common. */
function backupOf(key: string): string {
  const prefix = prefixOf(key);
  const parsed = parseKey(prefix, key);
  return parsed === undefined ? key : `${prefix}/${parsed.database}_${parsed.stamp}`;
}
