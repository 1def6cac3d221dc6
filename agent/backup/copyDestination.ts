import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { nextRun } from "../../common/schedule/nextRun.ts";
import {
  COPY_ENVIRONMENT_NAMES,
  isSameBucket,
  parseAddress,
} from "../../storage/address/address.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { openStore } from "../../storage/s3/client.ts";
import type { AgentContext, CopyDestination } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";

/** `@every` counts from one copy to the next, and no run starts at the very second. */
const LONGEST_EARLY_MS = 10 * 60_000;

/**
 * Opens the second bucket; nothing is sent yet. It is faulty when its variables or its address are wrong, it is the first
 * bucket, or its schedule cannot be read.
 * @returns undefined when there is none
 */
export function openCopy(settings: AgentSettings, report: Report): CopyDestination | undefined {
  const { copy, copyFault, store } = settings;
  if (copyFault !== undefined) return { fault: copyFault };
  if (copy === undefined) return undefined;
  try {
    const address = parseAddress(copy.store, COPY_ENVIRONMENT_NAMES);
    for (const notice of address.notices) report.warn(notice);
    if (isSameBucket(parseAddress(store), address)) {
      throw new Problem(
        `COPY_S3_BUCKET is the bucket ${address.bucket} of the backups themselves, and a copy in the same bucket protects from nothing. Name another bucket, best at another provider.`,
      );
    }
    if (copy.every !== undefined) {
      nextRun(copy.every, new Date(), { timezone: process.env["TZ"], variable: "COPY_EVERY" });
    }
    let warned = false;
    return {
      store: openStore(address, copy.store),
      ...(copy.every !== undefined && { every: copy.every }),
      tiers: copy.tiers,
      warnNotListable: () => {
        if (warned) return;
        warned = true;
        report.warn(
          `the copy's key may not list its bucket, so that it is not known how old the latest copy is: each backup is copied, whatever COPY_EVERY says.`,
        );
      },
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { fault: error };
  }
}

/**
 * Whether the next backup is to be copied.
 * @param entries copies of the same database, newest first
 * @param jitterSeconds longest random delay of a run
 */
export function isCopyDue(
  every: string | undefined,
  entries: readonly CatalogueEntry[],
  now: Date,
  { jitterSeconds, timezone }: { readonly jitterSeconds: number; readonly timezone: string },
): boolean {
  const [latest] = countingBackups(entries);
  if (every === undefined || latest === undefined) return true;
  const last = new Date(`${latest.stamp}Z`);
  const due = nextRun(every, last, { timezone, variable: "COPY_EVERY" }).getTime();
  if (!/@every\b/.test(every)) return due <= now.getTime();
  const early = Math.min((due - last.getTime()) / 10, LONGEST_EARLY_MS) + jitterSeconds * 1000;
  return due - early <= now.getTime();
}

/**
 * The same context for the second bucket, for commands that read.
 * @throws Problem when there is none, or its settings are wrong
 */
export function contextForCopy(context: AgentContext): AgentContext {
  const { copy, ...rest } = context;
  if (copy?.fault !== undefined) throw copy.fault;
  if (copy !== undefined) return { ...rest, store: copy.store };
  throw new Problem(
    "--copy: this container makes no copy, since COPY_S3_BUCKET is not set. Leave --copy away, or declare a copy.",
  );
}
