import { formatRecipient, parseIdentity, publicKeyOf } from "../../common/age/keys.ts";
import type { DrilledEvent, Entry } from "../../common/contracts/agentEvents.ts";
import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { formatDuration } from "../terminal/format.ts";

/** What is known of a drill before it runs. */
export interface PlannedDrill {
  readonly entry: Pick<Entry, "database" | "stamp" | "key">;
  readonly startedAt: Date;
  /** Declared; undefined: none. Milliseconds. */
  readonly rtoMs: number | undefined;
  readonly upgradeTo: number | undefined;
  /** Major version of the server that was backed up; undefined: the backup has no manifest. */
  readonly backupMajor: number | undefined;
  /** Public key whose private half opens it. */
  readonly openedWith: string | null;
}

/** The record of a drill that has come to an end, judged against the RTO. */
export function recordOf(planned: PlannedDrill, drilled: DrilledEvent): DrillRecord {
  const { event: _, from: __, notRestored: ___, database: ____, masked: _____, ...found } = drilled;
  const { rtoMs, upgradeTo, backupMajor } = planned;
  const { serverMajor } = found;
  if (upgradeTo !== undefined && serverMajor !== null && serverMajor !== upgradeTo) {
    const reason = `--upgrade-to asks for PostgreSQL ${upgradeTo}, and the server of --image is PostgreSQL ${serverMajor}. Name an image of PostgreSQL ${upgradeTo}, or leave --image out.`;
    return { ...couldNotRun(planned, reason), serverMajor };
  }
  // An image of a later version rehearses an upgrade, too: it says nothing of a restore into the backup's own.
  const isUpgrade = backupMajor !== undefined && serverMajor !== backupMajor;
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
    upgradeTo: upgradeTo ?? (isUpgrade ? serverMajor : null),
    openedWith: found.loadMs === null ? null : planned.openedWith,
  };
}

/** @throws Problem when an upgrade leads to no later version: a pass would prove nothing of it */
export function requireLater(upgradeTo: number | undefined, backupMajor: number | undefined): void {
  if (upgradeTo === undefined || backupMajor === undefined || upgradeTo > backupMajor) return;
  throw new Problem(
    `--upgrade-to ${upgradeTo} must be later than PostgreSQL ${backupMajor}, from which the backup is. Leave it out to drill the backup's own version.`,
  );
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
