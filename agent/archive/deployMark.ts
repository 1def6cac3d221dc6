import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { listBackups } from "../../storage/catalogue/catalogue.ts";
import { type CatalogueEntry, isComplete } from "../../storage/catalogue/catalogueEntry.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import { markMac } from "../../storage/catalogue/marks.ts";
import { deployKey, isRevision, parseKey } from "../../storage/catalogue/objectKeys.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import type { AgentContext } from "../runtime/context.ts";
import { signingKeysOf, trustOf } from "./trust.ts";
import { settingsSecrets, verifyChosen } from "./verify.ts";

/** A deploy that waits for a backup. */
export interface Deploy {
  /** What is deployed: the revision of git, or what Kamal was given as `--version`. */
  readonly revision: string;
  /** Milliseconds that a backup may be old; 0: a new one is taken. */
  readonly maxAgeMs: number;
}

/** Minutes of a week: an older backup says nothing of the database as a deploy finds it. */
const LONGEST_MINUTES = 10_080;

/**
 * Reads what the command line has of a deploy.
 * @param minutes how old a backup may be; absent: a new one is taken
 * @throws Problem that names the option
 */
export function readDeploy(revision: string, minutes = "0"): Deploy {
  if (!isRevision(revision)) {
    throw new Problem(
      `--before-deploy "${revision}" is no revision. Give up to 128 letters, digits, "_", "." and "-", as KAMAL_VERSION has them.`,
    );
  }
  if (!/^\d{1,5}$/.test(minutes) || Number(minutes) > LONGEST_MINUTES) {
    throw new Problem(
      `--max-age ${minutes} must be a whole number of minutes from 0 to ${LONGEST_MINUTES}.`,
    );
  }
  return { revision, maxAgeMs: Number(minutes) * 60_000 };
}

/**
 * Whether a backup of the context's database is there that a deploy may rely on: one that counts, is young enough, and was
 * read back. One that was not yet read back is read now. It is marked with the deploy.
 * @returns false: a new one is to be taken, also where the bucket does not tell
 */
export async function acceptForDeploy(context: AgentContext, deploy: Deploy): Promise<boolean> {
  if (deploy.maxAgeMs === 0) return false;
  const { settings, store, report } = context;
  const { database } = settings.postgres;
  try {
    const [latest] = countingBackups(await listJudged(store, database, trustOf(settings)));
    if (latest === undefined || !isYoung(latest, deploy.maxAgeMs)) return false;
    const secrets = settingsSecrets(settings);
    if (latest.verifiedKey === null) await verifyChosen(context, latest.stamp, secrets);
    await markDeploy(context, latest, deploy.revision);
    return true;
  } catch (error) {
    if (!(error instanceof Problem) || context.signal.aborted) throw error;
    report.warn(`whether a backup is young enough is not known, so one is taken: ${error.message}`);
    return false;
  }
}

/** The old image's have no manifest, and of one that was overwritten nothing is known. */
function isYoung({ stamp, kind, overwritten }: CatalogueEntry, maxAgeMs: number): boolean {
  const age = Date.now() - Date.parse(`${stamp}Z`);
  return kind === "ours" && overwritten !== true && age <= maxAgeMs;
}

/**
 * Marks a stored backup as the one that was there before a deploy, in each bucket that has it.
 * @throws Problem when the mark cannot be written beside the backup itself; beside a copy that is a warning
 */
export async function markDeploy(
  { store, copy, settings, report }: AgentContext,
  backup: Pick<CatalogueEntry, "database" | "stamp" | "key">,
  revision: string,
): Promise<void> {
  const { database, stamp } = backup;
  const keys = signingKeysOf(settings);
  await putMark(store, backup, revision, keys);
  report.line(`Before the deploy of ${revision}: the backup of ${database} from ${stamp} UTC.`);
  if (copy?.store === undefined) return;
  try {
    const entries = await listBackups(copy.store, database);
    const copied = entries.find((entry) => entry.stamp === stamp && isComplete(entry));
    if (copied?.kind === "ours") await putMark(copy.store, copied, revision, keys);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report.warn(`the copy is not marked with the deploy of ${revision}: ${messageOf(error)}`);
  }
}

/** The same bytes for the same deploy, so that a deploy that is tried again finds its mark. */
async function putMark(
  store: ObjectStore,
  { database, stamp, key: dump }: Pick<CatalogueEntry, "database" | "stamp" | "key">,
  revision: string,
  keys: readonly SigningKey[],
): Promise<void> {
  const { prefix } = store.address;
  const parsed = parseKey(prefix, dump);
  const folder = parsed?.kind === "ours" ? parsed.folder : null;
  const mark = { version: 1, revision, database, takenAt: `${stamp}Z`, dump };
  const mac = markMac({ kind: "deploy", dump, revision }, keys);
  const key = deployKey(prefix, database, stamp, revision, folder, mac);
  await putNew(store, key, `${JSON.stringify(mark)}\n`, "application/json");
}
