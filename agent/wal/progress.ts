import type { WalState } from "../../common/contracts/pointInTime.ts";
import { lsnText } from "../../storage/catalogue/walPosition.ts";
import { readWalWellAt, recordWal } from "../runtime/healthRecord.ts";
import type { Report } from "../runtime/reporter.ts";
import { heldBytes, type WalLook } from "./server.ts";

/** What WAL comes through on its way, each with a failure of its own. */
export type Part = "server" | "receiver" | "bucket";

/** The first one explains the others. */
const ORDER: readonly Part[] = ["server", "receiver", "bucket"];

/** Knows how archiving goes: says each change of it once, and leaves it for the health check and the command line. */
export class Progress {
  readonly #report: Report;
  readonly #folder: string | undefined;
  readonly #problems = new Map<Part, string>();
  readonly #said = new Map<Part, string>();
  /** What the server had written at a moment, of what is not in the bucket yet. */
  readonly #awaited: { readonly now: string; readonly at: Date; readonly written: bigint }[] = [];
  /** When everything that the server had written was in the bucket last, by the container's clock. */
  #wellAt: Date;
  #chain: string | null = null;
  #stored: bigint | undefined;
  #look: WalLook | undefined;
  #reachableTo: string | null = null;
  #markedAt: string | null = null;
  #baseProblem: string | null = null;

  /** @param folder where the container's state lies; absent: outside of one */
  constructor(report: Report, folder: string | undefined) {
    this.#report = report;
    this.#folder = folder;
    // One that ends again and again must not look well for that.
    this.#wellAt = readWalWellAt(folder) ?? new Date();
  }

  /** @param sentence free of secrets */
  failed(part: Part, sentence: string): void {
    this.#problems.set(part, sentence);
    // A number in it may be another one each time.
    const kind = sentence.replaceAll(/\d+/g, "#");
    if (this.#said.get(part) !== kind) {
      this.#said.set(part, kind);
      this.#report.warn(`WAL is not archived: ${sentence} It is tried again.`);
    }
    this.write();
  }

  works(part: Part): void {
    this.#problems.delete(part);
    if (this.#said.delete(part) && this.#said.size === 0)
      this.#report.line("WAL is archived again.");
  }

  opened(chain: string, stored: bigint): void {
    this.#chain = chain;
    this.#look = undefined;
    this.#awaited.length = 0;
    this.#stored = stored;
  }

  /** The bucket has all WAL up to there. */
  stored(to: bigint): void {
    if (this.#stored === undefined || to > this.#stored) this.#stored = to;
    for (let [next] = this.#awaited; next && next.written <= this.#stored; [next] = this.#awaited) {
      this.#awaited.shift();
      this.#reachableTo = next.now;
      this.#wellAt = next.at;
    }
  }

  looked(look: WalLook): void {
    this.#look = look;
    this.#awaited.push({ now: look.now, at: new Date(), written: look.written });
    // Without a bucket the list would grow for ever; what is dropped makes the figure older than it might be, never newer.
    if (this.#awaited.length > LONGEST_LIST) this.#awaited.splice(1, 1);
    if (this.#stored !== undefined) this.stored(this.#stored);
    this.write();
  }

  /** @param problem why the last base backup failed, free of secrets; null: it did not */
  based(problem: string | null): void {
    this.#baseProblem = problem;
    this.write();
  }

  marked(time: string): void {
    this.#markedAt = time;
  }

  write(): void {
    recordWal(this.#folder, this.state(), this.#wellAt);
  }

  /** When everything that the server had written was in the bucket last, by the container's clock. */
  get wellAt(): Date {
    return this.#wellAt;
  }

  state(): WalState {
    const problem = ORDER.map((part) => this.#problems.get(part)).find((one) => one !== undefined);
    const { written, slot, boundBytes = null, received = null } = this.#look ?? {};
    const restart = slot?.restart ?? null;
    return {
      chain: this.#chain,
      receiving: received !== null && !this.#problems.has("receiver"),
      problem: problem ?? null,
      at: new Date().toISOString(),
      archivedLsn: this.#stored === undefined ? null : lsnText(this.#stored),
      serverLsn: written === undefined ? null : lsnText(written),
      heldBytes: written === undefined || restart === null ? null : heldBytes(written, restart),
      boundBytes,
      reachableTo: this.#reachableTo,
      markedAt: this.#markedAt,
      baseProblem: this.#baseProblem,
    };
  }
}

const LONGEST_LIST = 1_000;
