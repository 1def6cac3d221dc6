import { rename, writeFile } from "node:fs/promises";
import type { WalState } from "../../common/contracts/pointInTime.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf } from "../../common/problem.ts";
import type { AgentContext } from "../runtime/context.ts";
import { hostName } from "./alert.ts";
import { chatBody } from "./chatMessage.ts";
import { httpPost } from "./httpPost.ts";
import { formatOf } from "./notifier.ts";

/** As agent-health has it: a restart of the database, or a short failure of the network, is no alarm. */
const LATE_MS = 10 * 60_000;
const PREFIX = "postgres_backup_wal_";

/** What the JSON webhook gets when WAL stays away from the bucket, or a base backup fails, and when that is over. */
export interface WalPayload {
  readonly version: 1;
  readonly event: "wal";
  readonly result: "ok" | "failed";
  readonly host: string;
  readonly errors: readonly string[];
  readonly state: WalState;
}

/** Tells monitoring how archiving goes: a file of metrics each time, and each change between well and not well once. */
export class WalNotices {
  readonly #context: Pick<AgentContext, "settings" | "report" | "signal">;
  readonly #warned = new Set<string>();
  #told = "";
  #isTelling = false;

  constructor(context: Pick<AgentContext, "settings" | "report" | "signal">) {
    this.#context = context;
  }

  /** @param wellAt when everything that the server had written was in the bucket last */
  async tell(state: WalState, wellAt: Date, now: Date): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    await this.#tell(state, wellAt, now);
    this.#isTelling = false;
  }

  async #tell(state: WalState, wellAt: Date, now: Date): Promise<void> {
    const { metricsFile, webhookUrl } = this.#context.settings.notifications;
    if (metricsFile !== undefined) {
      await this.#try("METRICS_FILE", () => writeWalMetrics(metricsFile, state, wellAt, now));
    }
    if (webhookUrl === undefined) return;
    const faults = faultsOf(state, wellAt, now);
    const kinds = faults.map(({ kind }) => kind).join();
    if (kinds === this.#told) return;
    await this.#try("WEBHOOK_URL", async () => {
      await this.#post(
        new URL(webhookUrl),
        faults.map(({ sentence }) => sentence),
        state,
      );
      this.#told = kinds;
    });
  }

  #post(url: URL, errors: readonly string[], state: WalState): Promise<void> {
    const { settings, signal } = this.#context;
    const format = formatOf(settings.notifications);
    const host = hostName();
    const result = errors.length === 0 ? "ok" : "failed";
    const payload: WalPayload = { version: 1, event: "wal", result, host, errors, state };
    const body =
      format === "json"
        ? JSON.stringify(payload)
        : chatBody(format, {
            mood: errors.length === 0 ? "good" : "bad",
            title:
              errors.length === 0
                ? `Point-in-time recovery works again on ${host}`
                : `Point-in-time recovery falls behind on ${host}`,
            sentences: errors.length === 0 ? ["All WAL is in the bucket."] : errors,
            log: [],
            commands: [],
          });
    return httpPost({ url, body, type: "application/json" }, signal);
  }

  async #try(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#warned.delete(name);
    } catch (error) {
      if (this.#warned.has(name)) return;
      this.#warned.add(name);
      this.#context.report.warn(
        `${name}: the state of the WAL could not be told: ${messageOf(error)}`,
      );
    }
  }
}

function faultsOf(state: WalState, wellAt: Date, now: Date) {
  const { problem, baseProblem, heldBytes, boundBytes } = state;
  const faults: { readonly kind: string; readonly sentence: string }[] = [];
  if (now.getTime() - wellAt.getTime() > LATE_MS) {
    const held =
      heldBytes === null
        ? ""
        : ` The server holds ${formatBytes(heldBytes)} of it${boundBytes === null ? "" : `, ${formatBytes(boundBytes)} at most`}.`;
    const since = `${wellAt.toISOString().slice(0, 19)}Z`;
    faults.push({
      kind: "wal",
      sentence: `WAL has not reached the bucket since ${since}${problem === null ? "." : `: ${problem}`}${held}`,
    });
  }
  if (baseProblem !== null) {
    faults.push({ kind: "base", sentence: `The last base backup failed: ${baseProblem}` });
  }
  return faults;
}

/**
 * The figures, in a file of their own beside that of the dumps, which another process writes: `backup-wal.prom` beside `backup.prom`.
 * A node exporter may read at any moment: it sees the old file or the new one.
 */
async function writeWalMetrics(
  metricsFile: string,
  state: WalState,
  wellAt: Date,
  now: Date,
): Promise<void> {
  const path = `${metricsFile.replace(/\.prom$/, "")}-wal.prom`;
  await writeFile(`${path}.new`, renderWalMetrics(state, wellAt, now), { mode: 0o644 });
  await rename(`${path}.new`, path);
}

export function renderWalMetrics(state: WalState, wellAt: Date, now: Date): string {
  const { heldBytes, boundBytes, reachableTo } = state;
  const rows: readonly (readonly [name: string, help: string, value: number | null])[] = [
    ["receiving", "1 when WAL comes from the server, else 0.", state.receiving ? 1 : 0],
    [
      "lag_seconds",
      "Since everything that the server had written was in the bucket last.",
      Math.max(0, Math.round((now.getTime() - wellAt.getTime()) / 1000)),
    ],
    ["held_bytes", "WAL that the server holds for the archive.", heldBytes],
    ["held_bound_bytes", "What it may hold before it lets the chain go.", boundBytes],
    [
      "reachable_to_timestamp_seconds",
      "Newest moment that the bucket can bring back.",
      reachableTo === null ? null : Math.floor(Date.parse(reachableTo) / 1000),
    ],
    ["base_failed", "1 when the last base backup failed, else 0.", state.baseProblem ? 1 : 0],
  ];
  return rows
    .filter(([, , value]) => value !== null)
    .map(
      ([name, help, value]) =>
        `# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} gauge\n${PREFIX}${name} ${value}\n`,
    )
    .join("");
}
