import type { Entry } from "../../../common/contracts/agentEvents.ts";
import { databasesInBucket, listInBucket } from "../../backups/bucketSource.ts";
import { chooseDrills } from "../../drill/chooseDrills.ts";
import { type OpenedBackup, openBackup } from "../../drill/openBackup.ts";
import type { DataPlace } from "../../drill/serverContainer.ts";
import { readSqlFile, type SqlFile } from "../../drill/sqlFile.ts";
import { requireImage } from "../../drill/throwAway.ts";
import { forOneDatabase } from "../../session/databases.ts";
import { identityLines } from "../../session/identity.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";
import { signingKeys } from "../../stack/stateSecrets.ts";
import { placeInMemory, readRoom, requireDisk } from "./room.ts";
import type { StagingPlan } from "./staging.ts";
import { type PartOptions, partWords } from "./tables.ts";

export interface SourceOptions {
  /** File with SQL that masks. @default the declared one */
  readonly mask?: string;
  /** File with the private key. @default the variable AGE_IDENTITY */
  readonly identity?: string;
  /** Image of the server that masks. @default postgres:MAJOR of the backup */
  readonly image?: string;
  /** Docker network by which the bucket is reached. @default Docker's own */
  readonly network?: string;
}

/** What else is known of a handover. */
interface Handover extends SourceOptions, PartOptions {
  /** The data stays on Docker's disk. */
  readonly staysHere: boolean;
}

/** A backup that is to be handed over, known before anything is started. */
export interface Source {
  readonly session: Session;
  readonly entry: Entry;
  readonly opened: OpenedBackup;
  /** Undefined: every row as it is. */
  readonly mask: SqlFile | undefined;
  /** How it is restored and masked. */
  readonly staging: StagingPlan;
}

/**
 * Chooses a backup, and makes sure that it can be opened, and that this machine can hold it. Rows that are to be masked are in memory
 * alone.
 * @param time of a backup; empty: the newest
 * @throws Problem
 */
export async function chooseSource(
  opened: Session,
  stack: StackChoice,
  time: string,
  options: Handover,
): Promise<Source> {
  const session = await forOneDatabase(opened, () => databasesInBucket(opened, stack));
  const { backup, screen } = session;
  const names = { option: "--mask", declared: "the declared mask" };
  const mask = await readSqlFile(names, options.mask, backup.pull?.mask, stack.cwd);
  const identities = (await identityLines(options.identity)) ?? [];
  screen.waiting("reading the backups in the bucket");
  const listed = await listInBucket(session, stack, [backup.database], 0);
  const entries = listed.get(backup.database)?.entries ?? [];
  const [entry] = chooseDrills(session, entries, { time }) as [Entry];
  const signing = await signingKeys(stack, backup.name, backup.container);
  const keys = { session, stack, identities, signing };
  const readable = await openBackup(keys, entry);
  const part = partWords(readable.manifest, entry, options);
  const data = await placeOf(session, mask !== undefined, {
    // Without a manifest only the size of the backup is known, which is a tenth of the database's or more.
    databaseBytes: readable.manifest?.databaseBytes ?? 10 * entry.bytes,
    isPart: part.length > 0,
    staysHere: options.staysHere,
  });
  const { image, network } = options;
  const staging = { keys, entry, opened: readable, mask, part, image, network, data };
  return { session, entry, opened: readable, mask, staging };
}

async function placeOf(
  { backup, screen }: Session,
  masked: boolean,
  {
    databaseBytes,
    isPart,
    staysHere,
  }: { readonly databaseBytes: number; readonly isPart: boolean; readonly staysHere: boolean },
): Promise<DataPlace> {
  screen.waiting("asking Docker on this machine");
  await requireImage(screen, backup.image);
  const room = await readRoom(backup.image);
  if (!isPart && (staysHere || !masked)) requireDisk(room, databaseBytes);
  return masked ? placeInMemory(room, databaseBytes, isPart) : { kind: "container" };
}
