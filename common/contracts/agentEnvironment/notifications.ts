import * as z from "zod";
import { nonDefault } from "./variables.ts";

/** What a webhook gets: our JSON document after each run, or a message for people at a failure and at its end. */
export const WEBHOOK_FORMATS = ["json", "slack", "teams"] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

/** Who is notified of a run. */
export interface NotificationSettings {
  /**
   * Gets a POST with one sentence after each success, with `/fail` behind the address after a failure and `/start` at
   * the start, as healthchecks.io has it. See `notificationUrlFault`. `PING_URL`
   */
  readonly pingUrl?: string;
  /** Gets a POST in `webhookFormat`. See `notificationUrlFault`. `WEBHOOK_URL` */
  readonly webhookUrl?: string;
  /**
   * `json`: a document after each run. `slack`, which Mattermost and Discord's address with `/slack` behind it take too, or
   * `teams`: a message at a failure and one at its end. `WEBHOOK_FORMAT` @default by the address, see `formatOfAddress`
   */
  readonly webhookFormat?: WebhookFormat;
  /**
   * Prometheus text, for a node exporter's textfile folder that is mounted. An absolute path in the container.
   * `METRICS_FILE`
   */
  readonly metricsFile?: string;
}

const notificationUrl = (name: string) =>
  z.string().superRefine((address, context) => {
    const fault = notificationUrlFault(address);
    if (fault !== undefined) context.addIssue(`${name} ${fault}`);
  });

export const notificationVariables = {
  PING_URL: notificationUrl("PING_URL").optional(),
  WEBHOOK_URL: notificationUrl("WEBHOOK_URL").optional(),
  WEBHOOK_FORMAT: z
    .enum(WEBHOOK_FORMATS, {
      error: (issue) =>
        `WEBHOOK_FORMAT is "${issue.input}"; give one of ${WEBHOOK_FORMATS.join(", ")}`,
    })
    .optional(),
  METRICS_FILE: z.string().startsWith("/", "METRICS_FILE must be an absolute path").optional(),
};

type Variables = z.infer<z.ZodObject<typeof notificationVariables>>;

/**
 * Why an address cannot take notifications, as the end of a sentence; undefined when it can. Plain http, which shows the token
 * in the address to everyone on the way, is for this machine and for containers beside this one only: a host of one word.
 */
export function notificationUrlFault(address: string): string | undefined {
  // The address is not repeated: it carries a token.
  if (!URL.canParse(address)) return "is not an address; give the form https://HOST/PATH";
  const { protocol, hostname, username } = new URL(address);
  if (username !== "") return "holds a user name; give an address without";
  if (protocol === "https:") return undefined;
  if (protocol !== "http:") return "must begin with https://";
  if (/^([a-z0-9_-]+|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return undefined;
  return `is plain http to ${hostname}; use https, since the address carries a token`;
}

/**
 * The form that the service at an address takes, by the hosts that the services themselves document. Mattermost, which runs
 * anywhere, has to be named.
 * @param address one without a fault
 */
export function formatOfAddress(address: string): WebhookFormat {
  const { hostname, pathname } = new URL(address);
  if (hostname === "hooks.slack.com") return "slack";
  if (/^(.+\.)?discord(app)?\.com$/.test(hostname) && pathname.endsWith("/slack")) return "slack";
  const teams = /\.(webhook\.office\.com|logic\.azure\.com|api\.powerplatform\.com)$/;
  return teams.test(hostname) ? "teams" : "json";
}

export function notificationClearEnv(notifications: NotificationSettings): Record<string, string> {
  return nonDefault([
    ["METRICS_FILE", notifications.metricsFile],
    ["WEBHOOK_FORMAT", notifications.webhookFormat],
  ]);
}

/** Such addresses carry a token that lets anyone report runs in this backup's name. */
export function notificationSecretEnv(notifications: NotificationSettings): Record<string, string> {
  return {
    ...(notifications.pingUrl !== undefined && { PING_URL: notifications.pingUrl }),
    ...(notifications.webhookUrl !== undefined && { WEBHOOK_URL: notifications.webhookUrl }),
  };
}

export function parseNotifications(e: Variables): NotificationSettings {
  return {
    ...(e.PING_URL !== undefined && { pingUrl: e.PING_URL }),
    ...(e.WEBHOOK_URL !== undefined && { webhookUrl: e.WEBHOOK_URL }),
    ...(e.WEBHOOK_FORMAT !== undefined && { webhookFormat: e.WEBHOOK_FORMAT }),
    ...(e.METRICS_FILE !== undefined && { metricsFile: e.METRICS_FILE }),
  };
}
