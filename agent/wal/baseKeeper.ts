import { type ChildProcess, spawn } from "node:child_process";
import type { PointInTimeSettings } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { AgentContext } from "../runtime/context.ts";
import {
  assumedBases,
  type BaseKind,
  baseDue,
  type KnownBases,
  knownBases,
  pauseAfter,
} from "./baseDue.ts";
import { newestBases } from "./newestBases.ts";
import type { Progress } from "./progress.ts";

const STDERR_KEPT = 4096;
const TIMEZONE = process.env["TZ"];

/** What the keeper must know of the chain that is archived. */
export interface FollowedChain {
  readonly name: string;
  /** The server keeps account of what has changed (`summarize_wal`). */
  readonly summarizes: boolean;
}

/**
 * Has base backups taken when they are due: by the schedule, at once for a chain without one, and again after one that failed. Each
 * is a process of its own, so that archiving goes on whatever happens to it.
 */
export class BaseKeeper {
  readonly #context: AgentContext;
  readonly #settings: PointInTimeSettings;
  readonly #progress: Progress;
  #chain: FollowedChain | undefined;
  #child: ChildProcess | undefined;
  /** As the bucket last told it, or as it is assumed; undefined: not asked yet. */
  #known: KnownBases | undefined;
  /** The key may look into the bucket. */
  #mayRead = true;
  #failures = 0;
  /** By `performance.now()`. */
  #notBefore = 0;
  #looking = false;

  constructor(context: AgentContext, settings: PointInTimeSettings, progress: Progress) {
    this.#context = context;
    this.#settings = settings;
    this.#progress = progress;
  }

  /** From now on bases go into this chain. */
  follow(chain: FollowedChain): void {
    if (chain.name !== this.#chain?.name) {
      this.#notBefore = 0;
      this.#known = undefined;
    }
    this.#chain = chain;
  }

  /** Begins what is due, once WAL arrives: without it no base can count. */
  async look(): Promise<void> {
    const { receiving, problem } = this.#progress.state();
    const isBusy = this.#looking || this.#child !== undefined;
    if (this.#chain === undefined || isBusy || !receiving || problem !== null) return;
    if (performance.now() < this.#notBefore) return;
    this.#looking = true;
    try {
      const kind = await this.#due(this.#chain);
      if (kind !== undefined && !this.#context.signal.aborted) this.#begin(kind);
    } catch {
      // The bucket does not answer: whoever stores the WAL says so, and this is asked again.
    } finally {
      this.#looking = false;
    }
  }

  /** By what is known; before it is begun, by what the bucket says now: one may have been taken by hand. */
  async #due(chain: FollowedChain): Promise<BaseKind | undefined> {
    if (this.#known !== undefined && this.#dueBy(this.#known, chain) === undefined)
      return undefined;
    if (this.#known === undefined || this.#mayRead) {
      const bases = await newestBases(this.#context, chain.name);
      this.#mayRead = bases !== undefined;
      this.#known =
        bases === undefined
          ? assumedBases(chain.name, this.#settings, new Date(), TIMEZONE)
          : knownBases(bases);
    }
    return this.#dueBy(this.#known, chain);
  }

  #dueBy(known: KnownBases, { summarizes }: FollowedChain): BaseKind | undefined {
    return baseDue(known, this.#settings, summarizes && this.#mayRead, new Date(), TIMEZONE);
  }

  #begin(kind: BaseKind): void {
    const words = ["base", "--scheduled", ...(kind === "incremental" ? ["--incremental"] : [])];
    const [program = "", script = ""] = process.argv;
    const child = spawn(program, [...process.execArgv, script, ...words], {
      stdio: ["ignore", "inherit", "pipe"],
    });
    this.#child = child;
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      process.stderr.write(text);
      errors = (errors + text).slice(-STDERR_KEPT);
    });
    child.once("error", (error) => this.#ended(error.message));
    child.once("close", (code) => {
      const [sentence = `it ended with code ${code}`] = errors.trim().split("\n").slice(-1);
      this.#ended(code === 0 ? null : sentence.replace(/^error: /, ""));
    });
  }

  #ended(problem: string | null): void {
    if (this.#child === undefined) return;
    this.#child = undefined;
    this.#progress.based(problem);
    if (problem === null) {
      this.#failures = 0;
      const stamp = new Date().toISOString().slice(0, 19);
      this.#known = this.#mayRead ? undefined : { whole: stamp, newest: stamp };
      return;
    }
    this.#failures += 1;
    this.#notBefore = performance.now() + pauseAfter(this.#failures);
  }

  stop(): void {
    this.#child?.kill("SIGTERM");
  }
}
