import { manifestSchema } from "../../common/contracts/manifest.ts";
import { type Measured, measure, type Subject } from "./measure.ts";
import { names } from "./names.ts";
import { type Bench, database, sql, writeEnvironment } from "./parts.ts";

/** The agent's limits, those of the accessory that the components render. */
const agentLimits = ["--read-only", "--memory=256m", "--memory-swap=256m"];

const backupCommand = ["agent", "backup", "--json"];

export interface Backup extends Measured {
  readonly storedBytes: number;
}

export interface IncumbentBackup extends Backup {
  /** The dump before its encryption. */
  readonly plainBytes: number;
  /** Highest sum of its files on the disk. */
  readonly diskBytes: number;
}

export interface IncumbentRestore extends Measured {
  /** Seconds in pg_restore alone, without the download and the decryption. */
  readonly restoreAlone: number;
}

/** The programs that are compared, each run in a container of its own on the same Debian. */
export class Tools {
  readonly #bench: Bench;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** What no logical backup can beat: reading everything and throwing it away. */
  limit(name: string): Promise<Measured> {
    const read = "pg_dump --format=custom --compress=0 >/dev/null";
    return this.#measure(this.#incumbent(name, "none", ["sh", "-c", read]));
  }

  async backup(name: string, bucket: string): Promise<Backup> {
    return stored(await this.#measure(this.#agent(name, bucket, backupCommand)));
  }

  /** Into the service that only swallows, whose share of the cores is next to nothing. */
  async swallowedBackup(name: string): Promise<Backup> {
    const { sink, services } = this.#bench;
    const there = ["--env", `S3_ENDPOINT=${sink.endpoint}`];
    const subject = this.#agent(name, "nowhere", backupCommand, there);
    return stored(await measure(subject, { ...services, store: sink.account }));
  }

  async incumbentBackup(name: string, bucket: string): Promise<IncumbentBackup> {
    const run = await this.#measure(this.#incumbent(name, bucket, ["sh", "dump.sh"]));
    return { ...run, ...(lastObject(run.stdout) as Omit<IncumbentBackup, keyof Measured>) };
  }

  /** Restores the newest backup beside the database it was taken from, and drops it again. */
  async restore(name: string, bucket: string, volume?: string): Promise<Measured> {
    const into = "restored_by_us";
    await drop(into);
    const command = ["agent", "restore", "latest", "--into", into, "--yes", "--json"];
    const subject =
      volume === undefined
        ? this.#agent(name, bucket, command)
        : this.#agent(
            name,
            bucket,
            [...command, "--scratch", "/scratch"],
            ["--volume", `${volume}:/scratch`],
          );
    const run = await this.#measure(subject);
    eventOf(run.stdout, "restored");
    await drop(into);
    return run;
  }

  async incumbentRestore(bucket: string): Promise<IncumbentRestore> {
    const into = "restored_by_them";
    await drop(into);
    await sql("postgres", `CREATE DATABASE ${into}`);
    const run = await this.#measure(this.#incumbent(into, bucket, ["sh", "load.sh"]));
    const at = lastObject(run.stdout) as { decrypted: number; restored: number };
    await drop(into);
    return { ...run, restoreAlone: at.restored - at.decrypted };
  }

  /** `docker run` options of the agent when it waits for its schedule. */
  scheduled(name: string): readonly string[] {
    return this.#agent(name, "none", [], ["--env", "SCHEDULE=@daily"]).options;
  }

  #measure(subject: Subject): Promise<Measured> {
    return measure(subject, this.#bench.services);
  }

  #agent(
    name: string,
    bucket: string,
    command: readonly string[],
    more: readonly string[] = [],
  ): Subject {
    const { store, images, password, passphrase } = this.#bench;
    const file = writeEnvironment("agent", {
      POSTGRES_HOST: database.host,
      POSTGRES_USER: database.user,
      POSTGRES_PASSWORD: password,
      POSTGRES_DATABASE: name,
      S3_ENDPOINT: store.endpoint,
      S3_REGION: store.region,
      S3_BUCKET: bucket,
      S3_ACCESS_KEY_ID: store.accessKeyId,
      S3_SECRET_ACCESS_KEY: store.secretAccessKey,
      PASSPHRASE: passphrase,
      NODE_EXTRA_CA_CERTS: "/etc/bench.pem",
    });
    const options = [...this.#common(file), ...agentLimits, ...more];
    return { image: images.agent, options, command };
  }

  #incumbent(name: string, bucket: string, command: readonly string[]): Subject {
    const { store, images, password, passphrase } = this.#bench;
    const file = writeEnvironment("incumbent", {
      PGHOST: database.host,
      PGUSER: database.user,
      PGPASSWORD: password,
      PGDATABASE: name,
      S3_ENDPOINT: store.endpoint,
      S3_BUCKET: bucket,
      AWS_DEFAULT_REGION: store.region,
      AWS_ACCESS_KEY_ID: store.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
      AWS_CA_BUNDLE: "/etc/bench.pem",
      // As the version did that its image carries: no checksums besides S3's own.
      AWS_REQUEST_CHECKSUM_CALCULATION: "when_required",
      AWS_RESPONSE_CHECKSUM_VALIDATION: "when_required",
      PASSPHRASE: passphrase,
    });
    return { image: images.incumbent, options: this.#common(file), command };
  }

  #common(file: string): string[] {
    const certificate = `${this.#bench.store.certificate}:/etc/bench.pem:ro`;
    return ["--network", names.network, "--env-file", file, "--volume", certificate];
  }
}

/** Also what an earlier run left in kept data. */
async function drop(name: string): Promise<void> {
  await sql("postgres", `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  // What the restore left to be written must not fall on the next one.
  await sql("postgres", "CHECKPOINT");
}

function eventOf(stdout: string, kind: string): Record<string, unknown> {
  for (const line of stdout.split("\n").filter((text) => text.startsWith("{"))) {
    const event = JSON.parse(line) as Record<string, unknown>;
    if (event["event"] === kind) return event;
  }
  throw new Error(`the agent reported no "${kind}": ${stdout.slice(-500)}`);
}

/** @throws Error when what was measured is not what is to be compared */
function stored(run: Measured): Backup {
  const manifest = manifestSchema.parse(eventOf(run.stdout, "backup")["manifest"]);
  if (manifest.encryption === "none") throw new Error("the measured backup is not encrypted");
  return { ...run, storedBytes: manifest.object.bytes };
}

function lastObject(stdout: string): unknown {
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}
