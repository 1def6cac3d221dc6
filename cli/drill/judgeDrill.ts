import { formatRecipient, parseIdentity, publicKeyOf } from "../../common/age/keys.ts";
import type { DrilledEvent, Entry } from "../../common/contracts/agentEvents.ts";
import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { formatDuration } from "../terminal/format.ts";

/** What is known of a drill before it runs. */
export interface PlannedDrill {
  readonly entry: Pick<Entry, "database" | "stamp" | "key">;
  readonly startedAt: Date;
  /** Declared; undefined: none. Milliseconds. */
  readonly rtoMs: number | undefined;
  readonly upgradeTo: number | undefined;
  /** Public key whose private half opens it. */
  readonly openedWith: string | null;
}

/** The record of a drill that has come to an end, judged against the RTO. */
export function recordOf(planned: PlannedDrill, drilled: DrilledEvent): DrillRecord {
  const { event: _, from: __, notRestored: ___, database: ____, ...found } = drilled;
  const { rtoMs } = planned;
  const restored = found.verdict === "passed" || found.checks.length > 0;
  const rtoMet = rtoMs === undefined || !restored ? null : found.totalMs <= rtoMs;
  const late =
    rtoMs !== undefined && rtoMet === false
      ? `the restore took ${formatDuration(found.totalMs)}, and the declared RTO is ${formatRto(rtoMs)}.`
      : null;
  return {
    ...base(planned),
    ...found,
    verdict: found.verdict === "passed" && late !== null ? "failed" : found.verdict,
    reason: [found.reason, late].filter(Boolean).join(" Besides, ") || null,
    rtoMet,
    openedWith: found.loadMs === null ? null : planned.openedWith,
  };
}

/** A declared time: `10 min`, `1 h 30 min`. */
export function formatRto(rtoMs: number): string {
  return rtoMs < 10_000 ? `${rtoMs / 1000} s` : formatDuration(rtoMs).replace(/ 0 (?:s|min)$/, "");
}

/** The record of one that could not run. */
export function couldNotRun(planned: PlannedDrill, reason: string): DrillRecord {
  return {
    ...base(planned),
    verdict: "couldNotRun",
    reason,
    readMs: null,
    loadMs: null,
    totalMs: Date.now() - planned.startedAt.getTime(),
    rtoMet: null,
    tables: 0,
    rows: 0,
    compared: false,
    checks: [],
    serverMajor: null,
    openedWith: null,
  };
}

function base({ entry, startedAt, rtoMs, upgradeTo }: PlannedDrill) {
  return {
    version: 1,
    database: entry.database,
    backup: { stamp: entry.stamp, key: entry.key },
    startedAt: startedAt.toISOString(),
    rtoMs: rtoMs ?? null,
    upgradeTo: upgradeTo ?? null,
    where: "here",
  } as const;
}

/** Which of the private keys is one of the backup's recipients; null: none is. */
export function recipientAmong(
  { recipients }: Pick<Manifest, "recipients">,
  identities: readonly string[],
): string | null {
  const own = identities.map((line) => formatRecipient(publicKeyOf(parseIdentity(line))));
  return own.find((recipient) => recipients.includes(recipient)) ?? null;
}
