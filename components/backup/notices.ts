import { posix } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import {
  type NotificationSettings,
  notificationUrlFault,
} from "../../common/contracts/agentEnvironment/notifications.ts";
import { Problem } from "../../common/problem.ts";
import { explainedApply } from "../pulumi/resourceError.ts";
import { isHostPath } from "./mounts.ts";

/** Who is told after each run of the backup. What cannot be told is logged and never fails the backup. */
export interface NoticesArgs {
  /**
   * Address that gets a POST with one sentence after each success, with `/fail` behind it after a failure and `/start`
   * at the start, as healthchecks.io has it. Such a service also speaks up when nothing comes, which no container can.
   * Kept as a secret; https, or http to a host of one word, such as a container beside this one.
   * @default nobody is told
   * @example config.requireSecret("pingUrl")
   */
  readonly pingUrl?: pulumi.Input<string>;
  /**
   * Address that gets a POST with a JSON document after each run: `version`, `event`, `result` (`ok` or `failed`),
   * `database`, `host`, `durationMs`, and `stamp`, `key`, `bytes`, `rows`, `error` where there are any, and `failures`, a
   * `database` and `message` for each that failed in the run. Kept as a secret; https, as for `pingUrl`.
   * @default nobody is told
   */
  readonly webhookUrl?: pulumi.Input<string>;
  /**
   * File on the host, brought up to date after each run in Prometheus' text format. Its folder is mounted at the same
   * path in the container and must be writable for the container's user: `chown 10001:10001 FOLDER`.
   * @default no file
   * @example "/var/lib/node_exporter/textfile/shop.prom"
   */
  readonly metricsFile?: string;
}

/**
 * The notices as the container knows them. A wrong one is explained on the component that it was given to.
 * @throws Problem that names the argument
 */
export function settleNotices(
  resource: pulumi.Resource,
  { pingUrl, webhookUrl, metricsFile }: NoticesArgs = {},
): pulumi.Output<NotificationSettings> {
  if (metricsFile !== undefined) checkPath(metricsFile);
  // What is known already fails at once, what is not, when it is.
  if (typeof pingUrl === "string") checked("notices.pingUrl", pingUrl);
  if (typeof webhookUrl === "string") checked("notices.webhookUrl", webhookUrl);
  return explainedApply(resource, pulumi.all([pingUrl, webhookUrl]), ([ping, webhook]) => ({
    ...(ping !== undefined && { pingUrl: checked("notices.pingUrl", ping) }),
    ...(webhook !== undefined && { webhookUrl: checked("notices.webhookUrl", webhook) }),
    ...(metricsFile !== undefined && { metricsFile }),
  }));
}

function checked(argument: string, address: string): string {
  const fault = notificationUrlFault(address);
  if (fault !== undefined) throw new Problem(`${argument} ${fault}.`);
  return address;
}

function checkPath(path: string): void {
  if (isHostPath(path) && posix.dirname(path) !== "/" && path.endsWith(".prom")) return;
  throw new Problem(
    `notices.metricsFile "${path}" must be an absolute path of a .prom file in a folder of the host, without blanks, colons, quotes and the like, such as /var/lib/node_exporter/textfile/shop.prom.`,
  );
}
