import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { listDatabases } from "../../storage/catalogue/catalogue.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { countingDrills } from "../../storage/catalogue/drillRecords.ts";
import { listJudged, type Trust } from "../../storage/catalogue/judgeOrigin.ts";
import type { Store } from "../../storage/s3/client.ts";
import { bucketTrust, withReader } from "../backups/bucketSource.ts";
import { findBackups } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { type RecordedStack, recordedStack } from "../stack/stateSecrets.ts";
import type { NamedStack } from "./stacks.ts";

/** What the bucket holds of one database. */
export interface StoredDatabase {
  readonly database: string;
  /** Newest first. */
  readonly entries: readonly CatalogueEntry[];
  /** Newest first; those that somebody else may have written are left out. */
  readonly drills: readonly DrillRecord[];
}

/** One application's backup, as the stack has recorded it and as it lies in the bucket. */
export interface Looked {
  readonly stack: string;
  /** Absent: not even that is known. */
  readonly backup?: BackupOutputs;
  readonly databases: readonly StoredDatabase[];
  /** Of the second bucket; absent: none is declared. */
  readonly copies?: readonly StoredDatabase[];
  readonly lock?: { readonly mode: string; readonly days: number };
  readonly pending: number;
  /** Why it could not be looked at, in a sentence; absent: it was. */
  readonly failure?: string;
}

/** Looks at each backup of a stack. What cannot be read is an answer of its own. */
export async function lookAt({ stack, choice }: NamedStack): Promise<Looked[]> {
  let recorded: RecordedStack;
  let backups: BackupOutputs[];
  try {
    recorded = await recordedStack(choice);
    backups = findBackups(recorded.outputs);
  } catch (error) {
    return [{ stack, databases: [], pending: 0, failure: sentenceOf(error) }];
  }
  return Promise.all(backups.map((backup) => lookAtBackup(stack, choice, recorded, backup)));
}

async function lookAtBackup(
  stack: string,
  choice: StackChoice,
  { locks, pending }: RecordedStack,
  backup: BackupOutputs,
): Promise<Looked> {
  const lock = locks.get(backup.location.bucket);
  const known = { stack, backup, pending, ...(lock && { lock }) };
  try {
    const trust = await bucketTrust({ backup }, choice);
    const copied = backup.copy && { ...backup, ...backup.copy };
    const [databases, copies] = await Promise.all([
      withReader({ backup }, choice, (store) => readStored(store, backup, trust)),
      copied && withReader({ backup: copied }, choice, (store) => readStored(store, copied, trust)),
    ]);
    return { ...known, databases, ...(copies && { copies }) };
  } catch (error) {
    return { ...known, databases: [], failure: sentenceOf(error) };
  }
}

async function readStored(
  store: Store,
  { database, databases = [database] }: BackupOutputs,
  trust: Trust,
): Promise<StoredDatabase[]> {
  const names = databases === "all" ? await listDatabases(store) : databases;
  return Promise.all(
    names.map(async (name) => {
      const [entries, drills] = await Promise.all([
        listJudged(store, name, trust),
        countingDrills(store, name, trust.keys),
      ]);
      return { database: name, entries, drills };
    }),
  );
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Problem)) throw error;
  return messageOf(error);
}
