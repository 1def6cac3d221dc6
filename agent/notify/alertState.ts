import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alertLine, readAlertLine, STATE_FILES } from "../../common/contracts/containerState.ts";
import { alertKey, alertStem, parseAlertKey } from "../../storage/catalogue/objectKeys.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { untilStopped } from "../runtime/context.ts";
import type { DatabaseResult } from "./runSummary.ts";

/** Whose failure was reported, so that it is not reported again. The empty name: a run that ended before it knew of any. */
export type Failing = ReadonlySet<string>;

/** What a run changes. */
export interface Turn {
  /** Those that have failed, and had not before. */
  readonly failed: readonly DatabaseResult[];
  /** Names of those that are good again. */
  readonly recovered: readonly string[];
  readonly failing: Failing;
}

/** What is to be reported of a run: each failure once, and its end once. */
export function turnOf(before: Failing, results: readonly DatabaseResult[]): Turn {
  const failing = new Set(before);
  const failed = results.filter(({ database, error }) => {
    const name = database ?? "";
    if (error === undefined || failing.has(name)) return false;
    failing.add(name);
    return true;
  });
  const good = results.filter(({ error }) => error === undefined);
  const recovered = good.flatMap(({ database }) =>
    failing.delete(database ?? "") ? [database ?? ""] : [],
  );
  // Whoever backs one up knows again which there are.
  if (good.length > 0 && failing.delete("")) recovered.push("");
  return { failed, recovered, failing };
}

/** Keys that are looked at: two for each database that has failed since the bucket's rules expired the first. */
const MOST_KEYS = 10_000;

/**
 * Remembers whose failure was reported. The container's own folder lies in memory, so the bucket remembers it too: a container
 * that is booted anew does not report the same failure again, nor miss its end. A key that may not list the bucket leaves it at
 * the container's memory.
 */
export class AlertState {
  readonly #folder: string | undefined;
  readonly #store: ObjectStore;
  readonly #signal: AbortSignal;

  /** @param folder the container's state; absent: outside of one */
  constructor(folder: string | undefined, store: ObjectStore, signal: AbortSignal) {
    this.#folder = folder === "" ? undefined : folder;
    this.#store = store;
    this.#signal = signal;
  }

  async read(): Promise<Failing> {
    const path = this.#path();
    if (path !== undefined && existsSync(path)) return readAlertLine(readFileSync(path, "utf8"));
    try {
      return await untilStopped(this.#signal, this.#fromBucket());
    } catch {
      // It may not be listed, or does not answer, which may be what has failed: a second report is better than none.
      return new Set();
    }
  }

  /** @param now of the run's end */
  async write(before: Failing, failing: Failing, now: Date): Promise<void> {
    const path = this.#path();
    if (path !== undefined) {
      writeFileSync(`${path}.new`, `${alertLine(failing)}\n`);
      renameSync(`${path}.new`, path);
    }
    const changed = [...new Set([...before, ...failing])].filter(
      (database) => before.has(database) !== failing.has(database),
    );
    try {
      for (const database of changed) {
        const state = failing.has(database) ? "failing" : "well";
        const key = alertKey(this.#store.address.prefix, { at: now, database, state });
        await untilStopped(this.#signal, putNew(this.#store, key, "{}\n", "application/json"));
      }
    } catch {
      // As above: then the next container may report it again.
    }
  }

  #path(): string | undefined {
    return this.#folder && join(this.#folder, STATE_FILES.alert);
  }

  /** Of each database the newest mark counts; they are listed in the order of their times. */
  async #fromBucket(): Promise<Failing> {
    const failing = new Set<string>();
    const { prefix } = this.#store.address;
    let looked = 0;
    for await (const { key } of this.#store.list(alertStem(prefix))) {
      looked += 1;
      if (looked > MOST_KEYS) break;
      const mark = parseAlertKey(prefix, key);
      if (mark?.state === "failing") failing.add(mark.database);
      else if (mark !== undefined) failing.delete(mark.database);
    }
    return failing;
  }
}
