import * as z from "zod";
import type { AgentSettings } from "./environment.ts";
import { written } from "./variables.ts";

const noticeAddress = (name: string) =>
  z.string().superRefine((address, context) => {
    const fault = noticeFault(address);
    if (fault !== undefined) context.addIssue(`${name} ${fault}`);
  });

/** The variables that say who is told of a run. */
export const noticesVariables = {
  PING_URL: noticeAddress("PING_URL").optional(),
  WEBHOOK_URL: noticeAddress("WEBHOOK_URL").optional(),
  METRICS_FILE: z.string().startsWith("/", "METRICS_FILE must be an absolute path").optional(),
};

type Variables = z.infer<z.ZodObject<typeof noticesVariables>>;

/**
 * Why an address cannot take notices, as the end of a sentence; undefined when it can. Plain http, which shows the token
 * in the address to everyone on the way, is for this machine and for containers beside this one only: a host of one word.
 */
export function noticeFault(address: string): string | undefined {
  // The address is not repeated: it carries a token.
  if (!URL.canParse(address)) return "is not an address; give the form https://HOST/PATH";
  const { protocol, hostname, username } = new URL(address);
  if (username !== "") return "holds a user name; give an address without";
  if (protocol === "https:") return undefined;
  if (protocol !== "http:") return "must begin with https://";
  if (/^([a-z0-9_-]+|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return undefined;
  return `is plain http to ${hostname}; use https, since the address carries a token`;
}

export function clearNotices({ notices }: AgentSettings): Record<string, string> {
  return written([["METRICS_FILE", notices.metricsFile]]);
}

/** Such addresses carry a token that lets anyone speak in our name. */
export function secretNotices({ notices }: AgentSettings): Record<string, string> {
  return {
    ...(notices.pingUrl !== undefined && { PING_URL: notices.pingUrl }),
    ...(notices.webhookUrl !== undefined && { WEBHOOK_URL: notices.webhookUrl }),
  };
}

export function noticesOf(e: Variables): AgentSettings["notices"] {
  return {
    ...(e.PING_URL !== undefined && { pingUrl: e.PING_URL }),
    ...(e.WEBHOOK_URL !== undefined && { webhookUrl: e.WEBHOOK_URL }),
    ...(e.METRICS_FILE !== undefined && { metricsFile: e.METRICS_FILE }),
  };
}
