import type { Manifest } from "../../common/contracts/manifest.ts";
import type { Signature } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import {
  ACCEPT_ORIGIN,
  countingBackups,
  describeObjection,
  isAheadOfTime,
  needsAcceptance,
  passedOver,
} from "../../storage/catalogue/countingBackups.ts";
import type { Trust } from "../../storage/catalogue/judgeOrigin.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";

/**
 * Says what a reader should know of the backup that was chosen: what was passed over for it, and what is odd about it.
 * @param entries of the same database
 * @param wanted `latest`, or a time
 */
export function warnOfChoice(
  report: Report,
  entries: readonly CatalogueEntry[],
  chosen: CatalogueEntry,
  wanted: string,
): void {
  if (wanted === "latest")
    for (const sentence of passedOver(entries, chosen)) report.warn(sentence);
  if (isAheadOfTime(chosen)) {
    report.warn(
      `the stamp ${chosen.stamp} is ahead of time: the service stored the backup at ${chosen.storedAt.slice(0, 19)}. A clock was wrong, or somebody else has put it there.`,
    );
  }
  if (chosen.originProblem) {
    report.warn(
      `the backup of ${chosen.stamp} may be somebody else's: ${describeObjection(chosen.originProblem)}.`,
    );
  }
  if (chosen.notice) report.warn(chosen.notice);
}

/**
 * Refuses what may be somebody else's, unless that was accepted.
 * @throws Problem that names the word
 */
export function requireOrigin(chosen: CatalogueEntry, accepted: boolean): void {
  const { originProblem, stamp } = chosen;
  if (accepted || !originProblem || !needsAcceptance(chosen)) return;
  throw new Problem(
    `the backup of ${stamp} may be somebody else's: ${describeObjection(originProblem)}. What it holds is run by the database server. If you know where it comes from, add ${ACCEPT_ORIGIN}. Nothing was changed.`,
  );
}

/**
 * Says why it is not known who has written the chosen backup, unless that was said with the choice.
 * @param signature what that of its manifest is worth; absent: it was not read
 */
export function warnOfSignature(
  report: Report,
  { originProblem }: CatalogueEntry,
  signature: Signature | undefined,
  { keys }: Trust,
): void {
  if (keys.length === 0) {
    report.warn(
      "the origin of the backup was not checked, since no signing key is given here (SIGNING_KEYS): whoever may write into the bucket can have put it there.",
    );
  } else if (signature !== undefined && signature !== "signed" && !originProblem) {
    report.warn(
      "the origin of the backup was not checked, since none of this database is signed with a key that is known here: whoever may write into the bucket can have put it there.",
    );
  }
}

/** Says why it is not known who has written the chosen backup, and when it comes from another server than those before. */
export async function warnOfOrigin(
  { store, report }: Pick<AgentContext, "store" | "report">,
  {
    entries,
    entry,
    manifest,
    signature,
    trust,
  }: {
    readonly entries: readonly CatalogueEntry[];
    readonly entry: CatalogueEntry;
    readonly manifest: Manifest | null;
    /** What that of the manifest is worth; absent: it was not read. */
    readonly signature?: Signature;
    readonly trust: Trust;
  },
): Promise<void> {
  warnOfSignature(report, entry, signature, trust);
  const before = countingBackups(entries).find(
    ({ kind, stamp }) => kind === "ours" && stamp < entry.stamp,
  );
  if (before === undefined || manifest === null) return;
  const other = await readManifest(store, before).catch((error: unknown) => {
    if (error instanceof Problem) return undefined;
    throw error;
  });
  const [mine, theirs] = [manifest.server.systemIdentifier, other?.server.systemIdentifier];
  if (mine === null || theirs === undefined || theirs === null || mine === theirs) return;
  report.warn(
    `the backup comes from another server than the one before it: system identifier ${mine}, ${theirs} in the backup of ${before.stamp}.`,
  );
}
