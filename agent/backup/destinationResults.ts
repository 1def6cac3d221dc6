import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { type AgentContext, CopyFailed, type DestinationName } from "../runtime/context.ts";
import { errorMessage } from "../runtime/errorMessage.ts";

/** How a backup ended in each of its buckets. */
export class DestinationResults {
  readonly #context: AgentContext;
  readonly #manifests = new Map<DestinationName, Manifest>();
  readonly #failures = new Map<DestinationName, unknown>();

  constructor(context: AgentContext) {
    this.#context = context;
  }

  /** The backup counts there. */
  recordStored(name: DestinationName, manifest: Manifest): void {
    this.#manifests.set(name, manifest);
    const { journal } = this.#context;
    const stored = `"${manifest.database}" is complete`;
    if (name === "first") journal?.stays(manifest.database, stored);
    else journal?.stays(`copy of ${manifest.database}`, `the copy of ${stored}`);
  }

  /** It has failed there; of several failures the first one stays. */
  recordFailure(name: DestinationName, error: unknown): void {
    if (this.#failures.has(name)) return;
    this.#failures.set(name, error);
  }

  /** Does something in one bucket. A failure is that bucket's alone. */
  async attempt(name: DestinationName, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.recordFailure(name, error);
    }
  }

  /** Where the backup is stored and nothing has failed since. */
  goodManifest(name: DestinationName): Manifest | undefined {
    return this.#failures.has(name) ? undefined : this.#manifests.get(name);
  }

  /** The manifest in either bucket. */
  get anyManifest(): Manifest | undefined {
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
    if (copy === undefined || (second === undefined && this.goodManifest("copy") === undefined)) {
      return first;
    }
    const here = nameOf(store);
    const there = copy.store && nameOf(copy.store);
    if (second === undefined) {
      return new Problem(
        `${backup} failed in ${here}: ${this.#describe(first)} Its copy in ${there} is complete: list --copy shows it, restore --copy reads it.`,
        { cause: first },
      );
    }
    if (first === undefined) {
      return new CopyFailed(
        `${backup} is stored in ${here}, but its copy${there === undefined ? "" : ` in ${there}`} failed: ${this.#describe(second)}`,
        { cause: second },
      );
    }
    // The source has failed then, or the run was stopped: neither bucket is to blame.
    if (errorMessage(first) === errorMessage(second)) return first;
    return new Problem(
      `${backup} failed in both buckets. ${here}: ${this.#describe(first)} ${there ?? "The copy"}: ${this.#describe(second)}`,
      { cause: first },
    );
  }

  #describe(error: unknown): string {
    const { signal } = this.#context;
    return signal.aborted && error === signal.reason ? "the run was stopped." : errorMessage(error);
  }
}

function nameOf({ address }: ObjectStore): string {
  const { bucket, prefix, endpoint } = address;
  return `s3://${bucket}/${prefix} at ${endpoint ?? "AWS"}`;
}
