import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdCompressSync } from "node:zlib";
import { makeHeader } from "../../../common/age/header.ts";
import { encryptStream } from "../../../common/age/stream.ts";
import { parseSigningKeys } from "../../../common/contracts/manifestMac.ts";
import type { Alive, Base, Chain } from "../../../common/contracts/pointInTime.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import {
  aliveKey,
  baseKey,
  baseTarKey,
  chainKey,
  pieceKey,
  segmentKey,
} from "../../../storage/catalogue/pointInTimeKeys.ts";
import { recordText } from "../../../storage/catalogue/signedRecord.ts";
import type { World } from "../world.ts";

const run = promisify(execFile);
const PARTIAL = ".partial";

/** The server's clock to the microsecond: a commit may be less than a millisecond old. */
export async function serverTime(world: World): Promise<string> {
  const form = `YYYY-MM-DD"T"HH24:MI:SS.US"Z"`;
  const text = `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', '${form}') AS now`;
  const [row] = await world.query("postgres", text);
  return String(row?.["now"]);
}

/** What the agent's environment says of the bucket. */
type Env = Readonly<Record<string, string>>;

/**
 * A chain of the world's server, made with PostgreSQL's own programs and stored when a test says so: what is in the bucket, and
 * what is missing, is the test's to decide.
 */
export class TestChain {
  readonly chain: Chain;
  readonly #world: World;
  readonly #env: Env;
  readonly #dir: string;
  readonly #receiver: ChildProcess;
  readonly #sent = new Map<string, number>();

  private constructor(world: World, env: Env, chain: Chain, dir: string, receiver: ChildProcess) {
    this.#world = world;
    this.#env = env;
    this.chain = chain;
    this.#dir = dir;
    this.#receiver = receiver;
  }

  /** @param recipients public keys that all of it is encrypted for; none: it is in clear */
  static async begin(
    world: World,
    env: Env,
    recipients: readonly string[] = [],
  ): Promise<TestChain> {
    const dir = await mkdtemp(join(tmpdir(), "chain-"));
    const [server] = await world.query(
      "postgres",
      `SELECT system_identifier::text AS id, current_setting('server_version') AS version,
        timeline_id AS timeline,
        pg_current_wal_lsn() - (pg_walfile_name_offset(pg_current_wal_lsn())).file_offset AS start
      FROM pg_control_system(), pg_control_checkpoint()`,
    );
    const receiver = spawn("pg_receivewal", ["-D", dir, "--no-loop", "--status-interval=1"], {
      env: connection(world),
      stdio: "ignore",
    });
    const at = await serverTime(world);
    const stamp = at.slice(0, 19).replace(/[-:]/g, "").toLowerCase();
    const chain: Chain = {
      version: 1,
      chain: `kpb_${stamp}_${randomBytes(3).toString("hex")}`,
      systemIdentifier: String(server?.["id"]),
      major: world.postgres.major,
      serverVersion: String(server?.["version"]),
      startLsn: String(server?.["start"]),
      timeline: Number(server?.["timeline"]),
      segmentBytes: 16 * 1024 * 1024,
      encryption: recipients.length > 0 ? "age" : "none",
      recipients: [...recipients],
      startedAt: at,
    };
    const made = new TestChain(world, env, chain, dir, receiver);
    await eventually("the first WAL", 120_000, async () =>
      (await readdir(dir)).some((name) => name.endsWith(PARTIAL)) ? true : undefined,
    );
    await made.#write(chainKey(made.#prefix, chain.chain), made.#record(chain, "wal chain"));
    return made;
  }

  get #prefix(): string {
    return this.#env["S3_PREFIX"] ?? "";
  }

  /** Takes a whole base backup, and stores it with its commit mark. */
  async base(): Promise<Base> {
    const begun = await serverTime(this.#world);
    const { stdout: tar } = await run(
      "pg_basebackup",
      ["-D", "-", "-Ft", "-X", "none", "-c", "fast", "--no-password"],
      { env: connection(this.#world), encoding: "buffer", maxBuffer: 2 ** 30 },
    );
    const endedAt = await serverTime(this.#world);
    const manifest = await tarMember(tar, "backup_manifest");
    const [range] = JSON.parse(manifest)["WAL-Ranges"] as Record<string, string>[];
    const stored = await this.#sealed(tar);
    const base: Base = {
      version: 1,
      chain: this.chain.chain,
      stamp: begun.slice(0, 19),
      parent: null,
      timeline: this.chain.timeline,
      startLsn: range?.["Start-LSN"] ?? "",
      endLsn: range?.["End-LSN"] ?? "",
      endedAt,
      bytes: stored.length,
      sha256: createHash("sha256").update(stored).digest("hex"),
      unpackedBytes: tar.length,
      durationMs: 1,
    };
    await this.#write(baseTarKey(this.#prefix, base.chain, base.stamp, this.chain), stored);
    await this.#write(baseKey(this.#prefix, base), this.#record(base, "base backup"));
    return base;
  }

  /** Stores all WAL that the server has written by now: whole segments, and what is new of the open one as a piece. */
  async archive(): Promise<void> {
    const [now] = await this.#world.query(
      "postgres",
      "SELECT file_name AS file, file_offset AS bytes FROM pg_walfile_name_offset(pg_current_wal_lsn())",
    );
    const [file, bytes] = [String(now?.["file"]), Number(now?.["bytes"])];
    // A partial file is as long as a segment from its beginning: what has come is what is not zero at its end.
    await eventually(`WAL up to ${bytes} of ${file}`, 120_000, async () => {
      const names = await readdir(this.#dir);
      if (names.includes(file)) return true;
      if (!names.includes(file + PARTIAL)) return undefined;
      const content = await readFile(join(this.#dir, file + PARTIAL));
      return content.subarray(bytes - 8, bytes).some((byte) => byte !== 0) ? true : undefined;
    });
    for (const name of (await readdir(this.#dir)).toSorted()) {
      if (name.endsWith(PARTIAL) || this.#sent.get(name) === this.chain.segmentBytes) continue;
      await this.#segment(name);
    }
    const from = this.#sent.get(file) ?? 0;
    if (from >= bytes) return;
    const content = await readFile(join(this.#dir, file + PARTIAL)).catch(() => undefined);
    if (content === undefined) return;
    const key = pieceKey(this.#prefix, this.chain.chain, { file, from, to: bytes }, this.chain);
    await this.#write(key, await this.#sealed(content.subarray(from, bytes)));
    this.#sent.set(file, bytes);
  }

  async #segment(name: string): Promise<void> {
    const key = segmentKey(this.#prefix, this.chain.chain, name, this.chain);
    await this.#write(key, await this.#sealed(await readFile(join(this.#dir, name))));
    this.#sent.set(name, this.chain.segmentBytes);
  }

  /** Stores a mark of life that says that everything is in the bucket. */
  async alive(): Promise<Alive> {
    const time = await serverTime(this.#world);
    const [now] = await this.#world.query("postgres", "SELECT pg_current_wal_lsn()::text AS lsn");
    const lsn = String(now?.["lsn"]);
    const mark: Alive = {
      ...{ version: 1, chain: this.chain.chain, time },
      ...{ serverLsn: lsn, archivedLsn: lsn, heldBytes: 0, boundBytes: null },
    };
    const key = aliveKey(this.#prefix, mark.chain, mark.time.slice(0, 19));
    await this.#write(key, JSON.stringify(mark));
    return mark;
  }

  async stop(): Promise<void> {
    const ended = once(this.#receiver, "close");
    if (this.#receiver.exitCode === null && this.#receiver.signalCode === null) {
      this.#receiver.kill("SIGKILL");
      await ended;
    }
    await rm(this.#dir, { recursive: true });
  }

  #write(key: string, body: Buffer | string): Promise<void> {
    return this.#world.write(this.#env["S3_BUCKET"] ?? "", key, body);
  }

  #record(value: object, kind: "wal chain" | "base backup"): string {
    return recordText(value, parseSigningKeys(this.#env["SIGNING_KEYS"] ?? "", "keys"), kind);
  }

  async #sealed(bytes: Buffer): Promise<Buffer> {
    const packed = zstdCompressSync(bytes);
    const { recipients } = this.chain;
    if (recipients.length === 0) return packed;
    const { header, payloadKey } = await makeHeader({ recipients });
    const pieces: Buffer[] = [];
    for await (const piece of encryptStream(once_(packed), header, payloadKey)) {
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  }
}

async function* once_(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function connection({ postgres }: World): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...{ PGHOST: postgres.host, PGPORT: String(postgres.port) },
    ...{ PGUSER: postgres.user, PGPASSWORD: postgres.password },
  };
}

async function tarMember(tar: Buffer, name: string): Promise<string> {
  const child = spawn("tar", ["-xOf", "-", name], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {});
  child.stdin.end(tar);
  let text = "";
  for await (const piece of child.stdout) text += piece;
  return text;
}
