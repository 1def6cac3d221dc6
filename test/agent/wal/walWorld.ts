import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { WAL_ROLE } from "../../../common/contracts/agentEnvironment/pointInTime.ts";
import { type WalState, walStateSchema } from "../../../common/contracts/pointInTime.ts";
import { parsePointInTimeKey } from "../../../storage/catalogue/pointInTimeKeys.ts";
import { segmentPlace } from "../../../storage/catalogue/walPosition.ts";
import { startAgent, type World } from "../world.ts";

const PASSWORD = "password-of-the-wal-role";
const PREFIX = "shop/production";
const SEGMENT_BYTES = 16 * 1024 * 1024;
const PATIENCE_MS = 240_000;
const LOOK_MS = 100;

/** Makes the role, as `pulumi up` does. Its line in pg_hba.conf is `initdb`'s own. */
export async function enableWal(world: World): Promise<void> {
  await world.query(
    "postgres",
    `CREATE ROLE ${WAL_ROLE} LOGIN REPLICATION PASSWORD '${PASSWORD}' IN ROLE pg_monitor`,
  );
}

/** A bucket of the test's own and what the container's environment says of point-in-time recovery. */
export async function walEnvironment(world: World): Promise<Record<string, string>> {
  return {
    ...(await world.environment("postgres")),
    POINT_IN_TIME_KEEP_DAYS: "14",
    POINT_IN_TIME_BASE_SCHEDULE: "0 2 * * 0",
    POINT_IN_TIME_RPO_SECONDS: "1",
    POINT_IN_TIME_PASSWORD: PASSWORD,
  };
}

/** `agent wal` at work, with a folder for its state as the container has it. */
export class RunningWal {
  readonly stateFolder: string;
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;
  #output = "";

  constructor(t: TestContext, env: Record<string, string>) {
    this.stateFolder = mkdtempSync(join(tmpdir(), "wal-state-"));
    this.#env = env;
    t.after(async () => {
      await this.kill();
      rmSync(this.stateFolder, { recursive: true });
    });
  }

  start(): void {
    this.#child = startAgent({ ...this.#env, AGENT_STATE_DIR: this.stateFolder }, "wal");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** @returns its exit code */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const closed = once(child, "close");
    child.kill(signal);
    return ((await closed) as [number | null])[0];
  }

  state(): WalState | undefined {
    try {
      const text = readFileSync(join(this.stateFolder, "agent.wal.figures"), "utf8");
      return walStateSchema.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  /** The line that the health check reads. */
  line(): string {
    return readFileSync(join(this.stateFolder, "agent.wal"), "utf8").trim();
  }

  /** Waits until it is so. */
  async until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; !(await done()); await sleep(LOOK_MS)) {
      if (performance.now() < end) continue;
      const state = JSON.stringify(this.state());
      throw new Error(`${what} did not come. ${state}\n${this.#output.slice(-3000)}`);
    }
  }

  async chain(): Promise<string> {
    await this.until("a chain", () => typeof this.state()?.chain === "string");
    return this.state()?.chain ?? "";
  }
}

/** Writes so many bytes of WAL, a segment after the other. */
export async function writeSegments(world: World, count: number): Promise<void> {
  for (let written = 0; written < count; written += 1) {
    await world.query(
      "postgres",
      "CREATE TABLE IF NOT EXISTS filler (body text)",
      "INSERT INTO filler SELECT md5(random()::text || i) FROM generate_series(1, 5000) i",
      "SELECT pg_switch_wal()",
    );
  }
}

/** Name of the segment that the server is writing. */
export async function currentSegment(world: World): Promise<string> {
  const [row] = await world.query(
    "postgres",
    "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name",
  );
  return String(row?.["name"]);
}

/** Names of the whole segments of a chain that the bucket has. */
export async function archivedSegments(
  world: World,
  bucket: string,
  chain: string,
): Promise<string[]> {
  const keys = await world.keys(bucket, `${PREFIX}/pitr/${chain}/wal/`);
  return keys.flatMap((key) => {
    const parsed = parsePointInTimeKey(PREFIX, key);
    return parsed?.chain === chain && parsed.kind === "segment" ? [parsed.file] : [];
  });
}

/** The names that are missing between the first and the last one. */
export function gapsOf(names: readonly string[]): string[] {
  return names.flatMap((name, index) => {
    const next = names[index + 1];
    if (next === undefined) return [];
    const isNext = segmentPlace(next, SEGMENT_BYTES).from === segmentPlace(name, SEGMENT_BYTES).to;
    return isNext ? [] : [`${name} and ${next}`];
  });
}

/** What was stored, as it was before: by stock tools. @param decrypt words of a program that decrypts */
export function opened(bytes: Buffer, decrypt?: readonly string[]): Buffer {
  const [program, ...args] = decrypt ?? [];
  const maxBuffer = 2 ** 30;
  const plain =
    program === undefined ? bytes : execFileSync(program, args, { input: bytes, maxBuffer });
  return execFileSync("zstd", ["-d", "-c", "-q"], { input: plain, maxBuffer, stdio: "pipe" });
}

/** A segment as the server has it. */
export async function segmentOfServer(world: World, name: string): Promise<Buffer> {
  const [row] = await world.query(
    "postgres",
    `SELECT pg_read_binary_file('pg_wal/${name}') AS bytes`,
  );
  return row?.["bytes"] as Buffer;
}

/** Sets what the server reads again without a restart. */
export async function setServer(world: World, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) {
    await world.query("postgres", `ALTER SYSTEM SET ${name} = '${value}'`);
  }
  await world.query("postgres", "SELECT pg_reload_conf()");
}
