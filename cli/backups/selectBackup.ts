import type { Entry } from "../../common/contracts/agentEvents.ts";
import { passedOver } from "../../storage/catalogue/countingBackups.ts";
import { chooseBackup, chooseBeforeDeploy } from "../../storage/catalogue/selectBackup.ts";
import type { Session } from "../session/session.ts";
import type { Screen } from "../terminal/screen.ts";

/** What a message calls the folder in the bucket. */
const PREFIX = { prefix: "the bucket's prefix" };

/** Which backup an operator wants. */
export interface Selection {
  /** `latest`, or a time as the list shows it, with a blank or a T. */
  readonly wanted: string;
  /** Only of those that were taken at this time or before it. */
  readonly notAfter?: string | undefined;
  /** The one before the deploy of this revision, or of the one that begins so. */
  readonly beforeDeploy?: string | undefined;
}

/**
 * Chooses the backup to read, by the rule that the agent has, and says which later ones were passed over for the latest: the
 * agent is asked for its time, and does not know that it was not.
 * @throws Problem when none matches, the one that matches was never finished, or several were before such a deploy
 */
export function selectBackup(
  { backup, screen }: Pick<Session, "backup"> & { readonly screen: Pick<Screen, "warn"> },
  entries: readonly Entry[],
  selection: Selection,
): Entry {
  const { bucket, prefix } = backup.location;
  const location = `s3://${bucket}/${prefix}`;
  const stamp = selection.wanted.trim().replace(/(?<=\d) (?=\d)/, "T");
  const { notAfter, beforeDeploy } = selection;
  if (beforeDeploy !== undefined) {
    return chooseBeforeDeploy(entries, beforeDeploy, backup.database, location);
  }
  const { key } = chooseBackup(entries, stamp, backup.database, location, PREFIX, notAfter);
  const chosen = entries.find((entry) => entry.key === key) as Entry;
  if (stamp === "latest") {
    for (const sentence of passedOver(entries, chosen)) screen.warn(sentence);
  }
  return chosen;
}
