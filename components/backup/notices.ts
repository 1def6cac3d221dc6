import { posix } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import {
  type NotificationSettings,
  notificationUrlFault,
  WEBHOOK_FORMATS,
  type WebhookFormat,
} from "../../common/contracts/agentEnvironment/notifications.ts";
import { Problem } from "../../common/problem.ts";
import { applyReportingProblems } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { isHostPath } from "./mounts.ts";

/** Who is notified after each run of the backup. A notification that cannot be sent is logged and never fails the backup. */
export interface NoticesArgs {
  /**
   * Address that gets a POST with one sentence after each success, with `/fail` behind it after a failure and `/start`
   * at the start, as healthchecks.io has it. Such a service also speaks up when nothing comes, which no container can.
   * Kept as a secret; https, or http to a host of one word, such as a container beside this one.
   * @default nobody is notified
   * @example config.requireSecret("pingUrl")
   */
  readonly pingUrl?: pulumi.Input<string>;
  /**
   * Address of a chat, or of a program of yours. A chat gets a message at a failure, with its sentence and what to type, and one at
   * its end; see `webhookFormat`. A program gets a POST with a JSON document after each run: `version`, `event`, `result` (`ok` or `failed`),
   * `database`, `host`, `durationMs`, and `stamp`, `key`, `bytes`, `rows`, `error` where there are any, and `failures`, a
   * `database` and `message` for each that failed in the run. Kept as a secret; https, as for `pingUrl`.
   * @default nobody is notified
   */
  readonly webhookUrl?: pulumi.Input<string>;
  /**
   * What `webhookUrl` gets: `"slack"`, which Mattermost and Discord's address with `/slack` behind it understand too, `"teams"`
   * for a workflow of Microsoft Teams, or `"json"`.
   * @default by the address: Slack's, Discord's and Microsoft's own hosts are known, every other gets `"json"`
   * @example "slack"
   */
  readonly webhookFormat?: WebhookFormat;
  /**
   * File on the host, brought up to date after each run in Prometheus' text format. Its folder is mounted at the same
   * path in the container and must be writable for the container's user: `chown 10001:10001 FOLDER`.
   * @default no file
   * @example "/var/lib/node_exporter/textfile/shop.prom"
   */
  readonly metricsFile?: string;
}

/**
 * Judges what is known already.
 * @throws Problem that names the argument
 */
export function checkNotices(
  { pingUrl, webhookUrl, webhookFormat, metricsFile }: NoticesArgs,
  name: SettingName,
): void {
  if (webhookFormat !== undefined) checkFormat(webhookFormat, name("notices.webhookFormat"));
  if (metricsFile !== undefined) checkMetricsFile(metricsFile, name("notices.metricsFile"));
  if (typeof pingUrl === "string") checkedUrl(pingUrl, name("notices.pingUrl"));
  if (typeof webhookUrl === "string") checkedUrl(webhookUrl, name("notices.webhookUrl"));
}

/** The notices as the container knows them; an address that is known later is judged then, on the resource. */
export function noticeSettings(
  resource: pulumi.Resource,
  { pingUrl, webhookUrl, webhookFormat, metricsFile }: NoticesArgs,
  name: SettingName,
): pulumi.Output<NotificationSettings> {
  return applyReportingProblems(resource, pulumi.all([pingUrl, webhookUrl]), ([ping, webhook]) => ({
    ...(ping !== undefined && { pingUrl: checkedUrl(ping, name("notices.pingUrl")) }),
    ...(webhook !== undefined && { webhookUrl: checkedUrl(webhook, name("notices.webhookUrl")) }),
    ...(webhookFormat !== undefined && { webhookFormat }),
    ...(metricsFile !== undefined && { metricsFile }),
  }));
}

function checkedUrl(address: string, setting: string): string {
  const fault = notificationUrlFault(address);
  if (fault !== undefined) throw new Problem(`${setting} ${fault}.`);
  return address;
}

/** Out of a configuration it may be any text. */
function checkFormat(format: string, setting: string): void {
  if (WEBHOOK_FORMATS.some((known) => known === format)) return;
  throw new Problem(`${setting} is "${format}". Give one of ${WEBHOOK_FORMATS.join(", ")}.`);
}

function checkMetricsFile(path: string, setting: string): void {
  if (isHostPath(path) && posix.dirname(path) !== "/" && path.endsWith(".prom")) return;
  throw new Problem(
    `${setting} "${path}" must be an absolute path of a .prom file in a folder of the host, without blanks, colons, quotes and the like, such as /var/lib/node_exporter/textfile/shop.prom.`,
  );
}
