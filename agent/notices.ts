import { hostname } from "node:os";
import { type Manifest, totalRows } from "../storage/manifest.ts";
import type { BackupContext } from "./backup.ts";
import { deliver } from "./deliver.ts";
import type { AgentSettings } from "./environment.ts";
import { CopyFailed } from "./ledger.ts";
import { writeMetrics } from "./metrics.ts";
import { type AgentEvent, type Report, readableBytes } from "./report.ts";

/** What became of one database in a run. A suspect backup has both: it is stored, and the run has failed. */
export interface Outcome {
  /** Null: a run of every database of the server ended before it was known which there are. */
  readonly database: string | null;
  readonly manifest?: Manifest;
  /** That of the copy in the second bucket, if one was made. */
  readonly copy?: Manifest;
  /** The sentence, free of secrets; absent: all that was due is good. */
  readonly error?: string;
  /** The error is about the copy alone. */
  readonly copyFailed?: true;
  readonly durationMs: number;
}

/** The JSON document that WEBHOOK_URL gets, one for each database of a run. */
export interface WebhookDocument {
  readonly version: 1;
  readonly event: "backup";
  readonly result: "ok" | "failed";
  /** Null: a run of every database of the server ended before it was known which there are. */
  readonly database: string | null;
  /** The host as Kamal knows it, else the container's own name. */
  readonly host: string;
  readonly durationMs: number;
  /** Absent when nothing was stored. */
  readonly stamp?: string;
  readonly key?: string;
  readonly bytes?: number;
  readonly rows?: number;
  /** Key in the second bucket; absent when no copy was made. */
  readonly copyKey?: string;
  readonly error?: string;
  /** Whatever failed in the same run, this database too; absent when nothing did. */
  readonly failures?: readonly Failure[];
}

interface Failure {
  readonly database: string | null;
  readonly message: string;
}

/**
 * Tells those who asked for it how a run of the backup goes: a ping, a webhook, a file of metrics. What cannot be told is
 * said once in the log and never fails the run.
 */
export class Notices {
  readonly #addresses: AgentSettings["notices"];
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #sentence: (error: unknown) => string;
  readonly #started = performance.now();
  readonly #stored = new Map<string, Manifest>();
  readonly #copies = new Map<string, Manifest>();
  readonly #uncopied = new Set<string>();
  readonly #failures = new Map<string, string>();
  readonly #said = new Set<string>();
  #names: readonly string[];
  #start: Promise<void> = Promise.resolve();

  /**
   * @param context the run's; once its signal is aborted, there is no time for second tries
   * @param sentence what to say of an error, free of secrets
   */
  constructor(
    { settings, report, signal }: Omit<BackupContext, "store">,
    sentence: (error: unknown) => string,
  ) {
    this.#addresses = settings.notices;
    this.#names = settings.databases === "all" ? [] : settings.databases;
    this.#report = report;
    this.#signal = signal;
    this.#sentence = sentence;
  }

  /**
   * Listens to the work on each database, for what becomes of it.
   * @param names the databases of the run
   */
  listen(
    names: readonly string[],
    work: (context: BackupContext) => Promise<Manifest>,
  ): (context: BackupContext) => Promise<Manifest> {
    this.#names = names;
    return async (context) => {
      const { database } = context.settings.postgres;
      // Stored is not yet good: the work may find something wrong afterwards.
      const event = (event: AgentEvent) => {
        if (event.event === "backup") this.#stored.set(database, event.manifest);
        if (event.event === "copied") this.#copies.set(database, event.manifest);
        context.report.event(event);
      };
      try {
        return await work({ ...context, report: { ...context.report, event } });
      } catch (error) {
        if (error instanceof CopyFailed) this.#uncopied.add(database);
        this.#failures.set(database, this.#sentence(error));
        throw error;
      }
    };
  }

  get anyStored(): boolean {
    return this.#stored.size > 0;
  }

  /** Says that the run begins, without holding it up. */
  begin(): void {
    const { pingUrl } = this.#addresses;
    if (pingUrl === undefined) return;
    this.#start = this.#tell("PING_URL", () => this.#ping(pingUrl, "/start", "Backup started."));
  }

  /**
   * Says how the run ended.
   * @param error the sentence, free of secrets; absent: it succeeded
   */
  async end(error?: string): Promise<void> {
    const { pingUrl, webhookUrl, metricsFile } = this.#addresses;
    const outcomes = this.#outcomes(error);
    const tasks: Promise<void>[] = [];
    if (pingUrl !== undefined) {
      // After the start, so that the service sees them in their order.
      tasks.push(
        this.#start.then(() =>
          this.#tell("PING_URL", () =>
            this.#ping(
              pingUrl,
              error === undefined ? "" : "/fail",
              error === undefined ? outcomes.map(describe).join("\n") : faultOf(error, outcomes),
            ),
          ),
        ),
      );
    }
    if (webhookUrl !== undefined) {
      const address = new URL(webhookUrl);
      const failures = failuresIn(outcomes);
      const send = async () => {
        for (const outcome of outcomes) {
          const text = JSON.stringify(documentOf(outcome, failures));
          await deliver(address, text, JSON_TYPE, this.#signal);
        }
      };
      tasks.push(this.#tell("WEBHOOK_URL", send));
    }
    if (metricsFile !== undefined) {
      tasks.push(this.#tell("METRICS_FILE", () => writeMetrics(metricsFile, outcomes, new Date())));
    }
    await Promise.all(tasks);
  }

  #outcomes(error: string | undefined): Outcome[] {
    const elapsedMs = Math.round(performance.now() - this.#started);
    if (this.#names.length === 0 && error !== undefined) {
      return [{ database: null, durationMs: elapsedMs, error }];
    }
    const outcomes: Outcome[] = [];
    for (const database of this.#names) {
      const manifest = this.#stored.get(database);
      // One that was not begun has failed with the run.
      const failure = this.#failures.get(database) ?? (manifest === undefined ? error : undefined);
      // Neither: another run is making it, and tells its own result.
      if (manifest === undefined && error === undefined) continue;
      const copy = this.#copies.get(database);
      outcomes.push({
        database,
        durationMs: manifest?.durationMs ?? elapsedMs,
        ...(manifest && { manifest }),
        ...(copy && { copy }),
        ...(this.#uncopied.has(database) && { copyFailed: true }),
        ...(failure !== undefined && { error: failure }),
      });
    }
    return outcomes;
  }

  #ping(address: string, ending: string, sentence: string): Promise<void> {
    const url = new URL(address);
    if (ending !== "") url.pathname = url.pathname.replace(/\/$/, "") + ending;
    // A service that knows success and failure only has nothing at the address of the start.
    return deliver(url, sentence, TEXT_TYPE, this.#signal, ending === "/start" ? [404, 405] : []);
  }

  async #tell(name: string, send: () => Promise<void>): Promise<void> {
    try {
      await send();
    } catch (error) {
      if (this.#said.has(name)) return;
      this.#said.add(name);
      const message = error instanceof Error ? error.message : String(error);
      this.#report.notice(`${name}: the notice could not be given: ${message}`);
    }
  }
}

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";

function describe({ database, manifest, copy, durationMs }: Outcome): string {
  if (manifest === undefined) return `Backup of ${database} complete.`;
  const { object, tables } = manifest;
  const copied = copy === undefined ? "" : ", copied";
  return `Backup of ${database} complete${copied}: ${readableBytes(object.bytes)}, ${tables.length} tables, ${totalRows(manifest)} rows, ${(durationMs / 1000).toFixed(1)} s.`;
}

function failuresIn(outcomes: readonly Outcome[]): Failure[] {
  return outcomes.flatMap(({ database, error }) =>
    error === undefined ? [] : [{ database, message: error }],
  );
}

/** The sentence of the only one; of several a line for each that failed. */
function faultOf(error: string, outcomes: readonly Outcome[]): string {
  if (outcomes.length < 2) return error;
  const failures = failuresIn(outcomes);
  return [
    `${failures.length} of ${outcomes.length} databases failed.`,
    ...failures.map(({ database, message }) => `"${database}": ${message}`),
  ].join("\n");
}

function documentOf(
  { database, manifest, copy, error, durationMs }: Outcome,
  failures: readonly Failure[],
): WebhookDocument {
  return {
    version: 1,
    event: "backup",
    result: error === undefined ? "ok" : "failed",
    database,
    host: process.env["KAMAL_HOST"] ?? hostname(),
    durationMs,
    ...(manifest && {
      stamp: manifest.takenAt.replace(/Z$/, ""),
      key: manifest.object.key,
      bytes: manifest.object.bytes,
      rows: totalRows(manifest),
    }),
    ...(copy && { copyKey: copy.object.key }),
    ...(error !== undefined && { error }),
    ...(failures.length > 0 && { failures }),
  };
}
