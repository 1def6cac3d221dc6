import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import {
  formatOfAddress,
  type WebhookFormat,
} from "../../common/contracts/agentEnvironment/notifications.ts";
import { remarksOn } from "../../common/contracts/leftOut.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { alertOf, hostName, testMessage } from "./alert.ts";
import { AlertState, turnOf } from "./alertState.ts";
import { chatBody } from "./chatMessage.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { httpPost } from "./httpPost.ts";
import { writeMetrics } from "./prometheus.ts";
import { type DatabaseResult, failuresOf, type RunSummary } from "./runSummary.ts";
import { webhookPayload } from "./webhookPayload.ts";

/**
 * Sends the notifications of a run: a ping, a webhook, a file of metrics. One that cannot be sent is logged once and never
 * fails the run.
 */
export class Notifier {
  readonly #settings: AgentSettings["notifications"];
  readonly #allSettings: AgentSettings;
  readonly #store: AgentContext["store"];
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #summary: RunSummary;
  readonly #lastLines: () => readonly string[];
  readonly #alerts: AlertState;
  readonly #warned = new Set<string>();
  #start: Promise<void> = Promise.resolve();

  /**
   * @param context the run's; once its signal is aborted, there is no time for second tries
   * @param options.lastLines of the run's log, free of secrets
   * @param options.stateFolder the container's; absent: outside of one
   */
  constructor(
    { settings, report, signal, store }: AgentContext,
    summary: RunSummary,
    {
      lastLines,
      stateFolder,
    }: {
      readonly lastLines: () => readonly string[];
      readonly stateFolder: string | undefined;
    },
  ) {
    this.#lastLines = lastLines;
    this.#alerts = new AlertState(stateFolder, store, signal);
    this.#allSettings = settings;
    this.#store = store;
    this.#settings = settings.notifications;
    this.#report = report;
    this.#signal = signal;
    this.#summary = summary;
  }

  /** Sends the ping of the start, without holding up the run. */
  runStarted(): void {
    const { pingUrl } = this.#settings;
    if (pingUrl === undefined) return;
    this.#start = this.#send("PING_URL", () => this.#ping(pingUrl, "/start", "Backup started."));
  }

  /**
   * Sends how the run ended.
   * @param error the sentence, free of secrets; absent: it succeeded
   */
  async runEnded(error?: string): Promise<void> {
    const { pingUrl, webhookUrl, metricsFile } = this.#settings;
    const results = this.#summary.results(error);
    const tasks: Promise<void>[] = [];
    if (pingUrl !== undefined) {
      // After the start, so that the service sees them in their order.
      tasks.push(
        this.#start.then(() =>
          this.#send("PING_URL", () =>
            this.#ping(
              pingUrl,
              error === undefined ? "" : "/fail",
              error === undefined
                ? results.map(successText).join("\n")
                : failureText(error, results),
            ),
          ),
        ),
      );
    }
    if (webhookUrl !== undefined) {
      const url = new URL(webhookUrl);
      const format = formatOf(this.#settings);
      const send = async () => {
        if (format !== "json") return this.#alert(url, format, results);
        const failures = failuresOf(results);
        for (const result of results) {
          const body = JSON.stringify(webhookPayload(result, failures));
          await httpPost({ url, body, type: JSON_TYPE }, this.#signal);
        }
      };
      tasks.push(this.#send("WEBHOOK_URL", send));
    }
    if (metricsFile !== undefined) {
      tasks.push(this.#send("METRICS_FILE", () => this.#writeMetrics(metricsFile, results)));
    }
    await Promise.all(tasks);
  }

  /** A run that was stopped has no time to look into the bucket. */
  async #writeMetrics(path: string, results: readonly DatabaseResult[]): Promise<void> {
    const now = new Date();
    const figures = new Map<string, Figures>();
    for (const { database } of this.#signal.aborted ? [] : results) {
      if (database === null) continue;
      figures.set(database, await figuresOf(this.#store, this.#allSettings, database, now));
    }
    await writeMetrics(path, results, now, figures);
  }

  /** Reports what has changed, and remembers it once it has arrived. */
  async #alert(
    url: URL,
    format: Exclude<WebhookFormat, "json">,
    results: readonly DatabaseResult[],
  ): Promise<void> {
    const before = await this.#alerts.read();
    const turn = turnOf(before, results);
    const message = alertOf(turn, this.#lastLines());
    if (message !== undefined) {
      await httpPost({ url, body: chatBody(format, message), type: JSON_TYPE }, this.#signal);
    }
    await this.#alerts.write(before, turn.failing, new Date());
  }

  #ping(address: string, ending: string, sentence: string): Promise<void> {
    const url = new URL(address);
    if (ending !== "") url.pathname = url.pathname.replace(/\/$/, "") + ending;
    // A service that knows success and failure only has nothing at the address of the start.
    const accepted = ending === "/start" ? [404, 405] : [];
    return httpPost({ url, body: sentence, type: TEXT_TYPE, accepted }, this.#signal);
  }

  async #send(name: string, send: () => Promise<void>): Promise<void> {
    try {
      await send();
    } catch (error) {
      if (this.#warned.has(name)) return;
      this.#warned.add(name);
      const message = messageOf(error);
      this.#report.warn(`${name}: the notification could not be sent: ${message}`);
    }
  }
}

/** What was given wins over what the address suggests. */
export function formatOf({
  webhookUrl,
  webhookFormat,
}: AgentSettings["notifications"]): WebhookFormat {
  return webhookFormat ?? formatOfAddress(webhookUrl as string);
}

/**
 * Sends one message to the webhook, to see whether it arrives.
 * @throws Problem when there is none, or it could not be sent
 */
export async function notifyTest({ settings, report, signal }: AgentContext): Promise<void> {
  const { notifications } = settings;
  if (notifications.webhookUrl === undefined) {
    throw new Problem(
      "no webhook is set, so there is nobody to send a test to. Set one: pulumi config set --secret webhookUrl https://..., then pulumi up.",
    );
  }
  const url = new URL(notifications.webhookUrl);
  const format = formatOf(notifications);
  const body =
    format === "json"
      ? JSON.stringify({ version: 1, event: "test", host: hostName() })
      : chatBody(format, testMessage());
  await httpPost({ url, body, type: JSON_TYPE }, signal).catch((error: unknown) => {
    throw new Problem(`WEBHOOK_URL: the test could not be sent: ${messageOf(error)}.`);
  });
  report.line(`sent to ${url.hostname} in the form "${format}"`);
  report.event({ event: "notified", host: url.hostname, format });
}

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";

function successText({ database, manifest, copy, durationMs }: DatabaseResult): string {
  if (manifest === undefined) return `Backup of ${database} complete.`;
  const { object, tables } = manifest;
  const copied = copy === undefined ? "" : ", copied";
  const remarks = remarksOn(manifest);
  return `Backup of ${database} complete${copied}: ${formatBytes(object.bytes)}, ${tables.length} tables, ${totalRows(manifest)} rows, ${(durationMs / 1000).toFixed(1)} s.${remarks && ` ${remarks}.`}`;
}

/** The sentence of the only one; of several a line for each that failed. */
function failureText(error: string, results: readonly DatabaseResult[]): string {
  if (results.length < 2) return error;
  const failures = failuresOf(results);
  return [
    `${failures.length} of ${results.length} databases failed.`,
    ...failures.map(({ database, message }) => `"${database}": ${message}`),
  ].join("\n");
}
