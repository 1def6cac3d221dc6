import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { AgentEvent } from "../../../agent/runtime/reporter.ts";
import { docker, dockerEnvironment, removeContainer } from "../../../sandbox/host/docker.ts";
import { sandboxLabel } from "../../../sandbox/world/paths.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import type { World } from "../../../sandbox/world/world.ts";

const KEY = "container-journey";
const SECRET = "container-journey-secret";
const BUCKET = "container-journey";

/** Names only: docker takes the values from its own environment, so that none stands in the process list. */
const envWords = (env: Record<string, string>) =>
  Object.keys(env).flatMap((name) => ["--env", name]);

/** An S3 service of the test's own beside the sandbox's, of the same kind, which may be stopped without harm to others. */
export class OwnStore {
  readonly name: string;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.name = `kamal-postgres-backup-${world.id}-journey-s3`;
  }

  async start(): Promise<void> {
    await removeContainer(this.name);
    const found = await docker(["container", "inspect", this.#world.store.container]);
    const [like] = JSON.parse(found.stdout) as [
      { Path: string; Args: string[]; Config: { Image: string }; HostConfig: { Binds: string[] } },
    ];
    const program = like.HostConfig.Binds.filter((bind) => bind.endsWith("/weed:ro"));
    const env = { AWS_ACCESS_KEY_ID: KEY, AWS_SECRET_ACCESS_KEY: SECRET };
    await docker(
      [
        ...["run", "--detach", "--name", this.name, "--network", "kamal"],
        ...["--label", `${sandboxLabel}=${this.#world.id}`, ...envWords(env)],
        ...["--volume", "/data", ...program.flatMap((bind) => ["--volume", bind])],
        ...["--entrypoint", like.Path, like.Config.Image, ...like.Args],
      ],
      { env },
    );
    await this.#use((s3) => s3.send(new CreateBucketCommand({ Bucket: BUCKET })));
  }

  async stop(): Promise<void> {
    await docker(["stop", "--time", "2", this.name]);
  }

  /** Starts it again with its data; its address may be another one, its name is not. */
  async resume(): Promise<void> {
    await docker(["start", this.name]);
    await this.keys();
  }

  /** What the container's environment says of it. */
  environment(prefix: string): Record<string, string> {
    return {
      S3_ENDPOINT: `http://${this.name}:8333`,
      S3_ALLOW_INSECURE: "true",
      S3_REGION: "us-east-1",
      S3_BUCKET: BUCKET,
      S3_PREFIX: prefix,
      S3_ACCESS_KEY_ID: KEY,
      S3_SECRET_ACCESS_KEY: SECRET,
    };
  }

  async keys(prefix = ""): Promise<string[]> {
    const listed = await this.#use((s3) =>
      s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix })),
    );
    return (listed.Contents ?? []).map(({ Key }) => Key ?? "");
  }

  async put(key: string, body: string): Promise<void> {
    await this.#use((s3) =>
      s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body })),
    );
  }

  async unfinishedUploads(): Promise<number> {
    const listed = await this.#use((s3) =>
      s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET })),
    );
    return (listed.Uploads ?? []).length;
  }

  /** Asks until it answers, since it may have been started a moment ago. */
  async #use<T>(work: (s3: S3Client) => Promise<T>): Promise<T> {
    return eventually("The journey's S3 service", 60_000, async () => {
      const address = await docker([
        ...["container", "inspect", "-f", "{{.NetworkSettings.Networks.kamal.IPAddress}}"],
        this.name,
      ]);
      const s3 = new S3Client({
        endpoint: `http://${address.stdout.trim()}:8333`,
        region: "us-east-1",
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: KEY, secretAccessKey: SECRET },
      });
      try {
        return await work(s3);
      } finally {
        s3.destroy();
      }
    });
  }
}

/** A container of the agent's real image, run as the component would run it. */
export class AgentContainer {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * @param options more words for `docker run`
   * @param health words about Docker's look at its health, which is a program each time. @default Docker never looks
   */
  async start(
    world: World,
    image: string,
    env: Record<string, string>,
    options: readonly string[] = [],
    health: readonly string[] = ["--no-healthcheck"],
  ): Promise<void> {
    await removeContainer(this.name);
    const { container, user, password } = world.database;
    const database = { POSTGRES_HOST: container, POSTGRES_USER: user, POSTGRES_PASSWORD: password };
    const all = { ...database, ...env };
    await docker(
      [
        ...["run", "--detach", "--name", this.name, "--network", "kamal"],
        ...["--label", `${sandboxLabel}=${world.id}`, ...envWords(all)],
        ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
        ...["--memory", "256m", "--stop-timeout", "30", ...health, ...options, image],
      ],
      { env: all },
    );
  }

  exec(...command: string[]) {
    return docker(["exec", this.name, ...command], { allowFailure: true, timeoutMs: 240_000 });
  }

  /** What Docker says of the state: `healthy`, `running`, an exit code. */
  async inspect(template: string): Promise<string> {
    return (await docker(["container", "inspect", "-f", template, this.name])).stdout.trim();
  }

  /** Begins a backup; resolves once bytes are on their way, with the promise of its end. */
  async backupUnderWay(): Promise<{ ended: Promise<{ code: number | null; message: string }> }> {
    const child = spawn("docker", ["exec", this.name, "agent", "backup", "--json"], {
      env: { ...process.env, ...(await dockerEnvironment()) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    const ended = new Promise<{ code: number | null; message: string }>((resolve) => {
      child.on("close", (code) => {
        const events = text.split("\n").filter((line) => line.startsWith("{"));
        const error = events
          .map((line) => JSON.parse(line) as AgentEvent)
          .find((event) => event.event === "error");
        resolve({ code, message: error?.event === "error" ? error.message : "" });
      });
    });
    child.stderr.resume();
    await new Promise<void>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.includes('"step":"upload"')) resolve();
      });
      child.once("close", () => reject(new Error(`the backup ended too soon: ${text}`)));
    });
    return { ended };
  }

  /**
   * Bytes that the container's processes and the kernel hold for it. The file cache is left out, which the kernel takes back
   * whenever it wants. Control groups of both versions.
   */
  async memory(): Promise<number> {
    const id = await this.inspect("{{.Id}}");
    const [dir = "", usage] = [
      [`/sys/fs/cgroup/memory/docker/${id}`, "memory.usage_in_bytes"],
      [`/sys/fs/cgroup/system.slice/docker-${id}.scope`, "memory.current"],
      [`/sys/fs/cgroup/docker/${id}`, "memory.current"],
    ].find(([path = "", file = ""]) => existsSync(join(path, file))) ?? ["", ""];
    if (usage === undefined || usage === "") throw new Error(`no control group of ${id} was found`);
    const stat = readFileSync(join(dir, "memory.stat"), "utf8");
    const cache = [...stat.matchAll(/^(?:total_)?(?:in)?active_file (\d+)$/gm)];
    // The first version names each figure twice; those with `total_` come last and hold for the whole.
    const files = cache.slice(-2).reduce((sum, [, bytes]) => sum + Number(bytes), 0);
    return Number(readFileSync(join(dir, usage), "utf8")) - files;
  }
}
