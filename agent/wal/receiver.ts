import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { WAL_RECEIVER } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { libpqEnvironment } from "../postgres/connection.ts";
import { LIBPQ_KEEPALIVE } from "../postgres/session.ts";
import { describeExit } from "../streams/process.ts";
import { UNTRANSLATED } from "../streams/toolWarnings.ts";

const STDERR_KEPT = 4096;

/** The server has removed WAL that was asked for. */
export class WalIsGone extends Problem {}

/**
 * One run of `pg_receivewal`, which writes into the spool. Without a slot: what the server keeps is held by the chain's own, which
 * moves only once the bucket has answered.
 */
export class Receiver {
  readonly #child: ChildProcess;
  /** Why it ended; it never ends well. Undefined while it runs. */
  failure: Problem | undefined;
  #errors = "";
  #held = false;

  constructor(settings: ServerSettings, folder: string) {
    // Every second it says how far it has written. It dies with this process, also when that is killed: two of them would write into
    // one memory.
    const words = ["--no-loop", "--no-password", "--status-interval=1", `--directory=${folder}`];
    this.#child = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "pg_receivewal", ...words, `--dbname=${LIBPQ_KEEPALIVE}`],
      {
        env: { ...libpqEnvironment(settings), ...UNTRANSLATED, PGAPPNAME: WAL_RECEIVER },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-STDERR_KEPT);
    });
    this.#child.once("error", (error) => {
      this.failure ??= new Problem(`pg_receivewal cannot be started: ${error.message}.`);
    });
    this.#child.once("close", (code, signal) => {
      this.failure ??= explained(code, signal, this.#errors.trim());
    });
  }

  /** Makes it wait, or go on: the server keeps meanwhile what it does not take. */
  hold(held: boolean): void {
    if (held === this.#held || this.failure !== undefined) return;
    this.#held = held;
    this.#child.kill(held ? "SIGSTOP" : "SIGCONT");
  }

  get held(): boolean {
    return this.#held;
  }

  async stop(): Promise<void> {
    if (this.failure !== undefined) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGKILL");
    await closed;
  }
}

function explained(code: number | null, signal: string | null, errors: string): Problem {
  if (/requested WAL segment \w+ has already been removed/.test(errors)) {
    return new WalIsGone("the server has removed WAL that was not archived.");
  }
  if (/no pg_hba\.conf entry for replication connection/.test(errors)) {
    const [, user = "", host = ""] =
      /host "([^"]*)"/.exec(errors) === null
        ? []
        : [undefined, /user "([^"]*)"/.exec(errors)?.[1], /host "([^"]*)"/.exec(errors)?.[1]];
    return new Problem(
      `the server lets ${user} not replicate from ${host}: pg_hba.conf lacks the line "host replication ${user} samenet scram-sha-256". pulumi up adds it.`,
    );
  }
  const how = describeExit("pg_receivewal", {
    code: code ?? (signal === null ? null : 137),
    stderr: errors,
  });
  return new Problem(`${how}.`);
}
