import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import type { AgentContext } from "../runtime/context.ts";
import { sentence } from "../runtime/errorMessage.ts";
import type { Place } from "./destinations.ts";

type Name = Place["name"];

/** The backup itself is good: what has failed is about the copies alone. */
export class CopyFailed extends Problem {}

/** What became of a backup in each of its places. */
export class Ledger {
  readonly #context: AgentContext;
  readonly #manifests = new Map<Name, Manifest>();
  readonly #failures = new Map<Name, unknown>();

  constructor(context: AgentContext) {
    this.#context = context;
  }

  /** The backup counts there. */
  stored(name: Name, manifest: Manifest): void {
    this.#manifests.set(name, manifest);
  }

  /** It has failed there; of several failures the first one stays. */
  failed(name: Name, error: unknown): void {
    if (this.#failures.has(name)) return;
    this.#failures.set(name, error);
  }

  /** Does something about one place. A failure is that place's alone. */
  async attempt(name: Name, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failed(name, error);
    }
  }

  /** Where the backup is stored and nothing has failed since. */
  good(name: Name): Manifest | undefined {
    return this.#failures.has(name) ? undefined : this.#manifests.get(name);
  }

  /** The manifest in one place or the other. */
  get any(): Manifest | undefined {
    return this.#manifests.get("first") ?? this.#manifests.get("copy");
  }

  get hasFailed(): boolean {
    return this.#failures.size > 0;
  }

  /** The failure of the whole, in a sentence that names what stands where. */
  failure(): unknown {
    const { store, copy, settings } = this.#context;
    const backup = `the backup of "${settings.postgres.database}"`;
    const first = this.#failures.get("first");
    const second = this.#failures.get("copy");
    if (copy === undefined || (second === undefined && this.good("copy") === undefined)) {
      return first;
    }
    const here = nameOf(store);
    const there = copy.store && nameOf(copy.store);
    if (second === undefined) {
      return new Problem(
        `${backup} failed in ${here}: ${this.#told(first)} Its copy in ${there} is complete: list --copy shows it, restore --copy reads it.`,
        { cause: first },
      );
    }
    if (first === undefined) {
      return new CopyFailed(
        `${backup} is stored in ${here}, but its copy${there === undefined ? "" : ` in ${there}`} failed: ${this.#told(second)}`,
        { cause: second },
      );
    }
    // The source, or whoever stopped the run, is to blame then, and neither place.
    if (sentence(first) === sentence(second)) return first;
    return new Problem(
      `${backup} failed in both places. ${here}: ${this.#told(first)} ${there ?? "The copy"}: ${this.#told(second)}`,
      { cause: first },
    );
  }

  #told(error: unknown): string {
    const { signal } = this.#context;
    return signal.aborted && error === signal.reason ? "the run was stopped." : sentence(error);
  }
}

function nameOf({ address }: ObjectStore): string {
  const { bucket, prefix, endpoint } = address;
  return `s3://${bucket}/${prefix} at ${endpoint ?? "AWS"}`;
}
