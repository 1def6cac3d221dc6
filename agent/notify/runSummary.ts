import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { type AgentContext, CopyFailed } from "../runtime/context.ts";
import type { AgentEvent } from "../runtime/reporter.ts";

/** How a run ended for one database. A suspect backup has both: it is stored, and the run has failed. */
export interface DatabaseResult {
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

export interface DatabaseFailure {
  readonly database: string | null;
  readonly message: string;
}

/** Gathers how a run ends for each database. */
export class RunSummary {
  readonly #describe: (error: unknown) => string;
  readonly #started = performance.now();
  readonly #stored = new Map<string, Manifest>();
  readonly #copies = new Map<string, Manifest>();
  readonly #uncopied = new Set<string>();
  readonly #failures = new Map<string, string>();
  #names: readonly string[];

  /** @param describe an error in a sentence, free of secrets */
  constructor({ databases }: AgentSettings, describe: (error: unknown) => string) {
    this.#names = databases === "all" ? [] : databases;
    this.#describe = describe;
  }

  /**
   * Wraps the work on each database, to see how it ends.
   * @param names the databases of the run
   */
  observe(
    names: readonly string[],
    work: (context: AgentContext) => Promise<unknown>,
  ): (context: AgentContext) => Promise<unknown> {
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
        this.#failures.set(database, this.#describe(error));
        throw error;
      }
    };
  }

  get anyStored(): boolean {
    return this.#stored.size > 0;
  }

  /**
   * How each of them ended, once the run has.
   * @param error the run's sentence, free of secrets; absent: it succeeded
   */
  results(error: string | undefined): DatabaseResult[] {
    const elapsedMs = Math.round(performance.now() - this.#started);
    if (this.#names.length === 0 && error !== undefined) {
      return [{ database: null, durationMs: elapsedMs, error }];
    }
    const results: DatabaseResult[] = [];
    for (const database of this.#names) {
      const manifest = this.#stored.get(database);
      // One that was not begun has failed with the run.
      const failure = this.#failures.get(database) ?? (manifest === undefined ? error : undefined);
      // Neither: another run has made it, and reports its own result.
      if (manifest === undefined && error === undefined) continue;
      const copy = this.#copies.get(database);
      results.push({
        database,
        durationMs: manifest?.durationMs ?? elapsedMs,
        ...(manifest && { manifest }),
        ...(copy && { copy }),
        ...(this.#uncopied.has(database) && { copyFailed: true }),
        ...(failure !== undefined && { error: failure }),
      });
    }
    return results;
  }
}

export function failuresOf(results: readonly DatabaseResult[]): DatabaseFailure[] {
  return results.flatMap(({ database, error }) =>
    error === undefined ? [] : [{ database, message: error }],
  );
}
