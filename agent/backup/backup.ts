import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { verifyNew } from "../archive/verify.ts";
import { takeBackupLock } from "../postgres/advisoryLock.ts";
import {
  checkClientVersion,
  connect,
  endingOnAbort,
  readClientVersion,
  readServer,
} from "../postgres/connection.ts";
import { type AgentContext, untilStopped } from "../runtime/context.ts";
import { commitUploads, type RunFacts } from "./commit.ts";
import { DestinationResults } from "./destinationResults.ts";
import { type ChosenDestinations, chooseDestinations } from "./destinations.ts";
import { announceDump, type DumpPlan, planDump } from "./dumpPlan.ts";
import { startUndisturbed } from "./dumpStart.ts";
import { uploadDump } from "./dumpUpload.ts";
import { deleteExpired } from "./expiry.ts";
import { parseExtraOptions } from "./pgDump.ts";

/**
 * A stamp has seconds, and so has the time that pg_dump writes into its archive: a run holds its lock for one from then on,
 * so that the next one gets another stamp and other bytes.
 */
const SHORTEST_DUMP_MS = 1000;

export interface BackupOptions {
  /** Takes the backup as good although it differs from the one before: the new normal. @default false */
  readonly accept?: boolean;
}

/**
 * Dumps the context's database into the bucket, and into the second one if a copy is due. The backup exists in a bucket
 * once its manifest does, which is written last. Each bucket fails alone.
 * @throws Problem on any failure; then nothing is visible in the buckets that the error names, or, if only the manifest is
 * missing, the object does not count. Also when the backup was stored as a suspect one, which never counts as latest
 */
export async function backup(
  context: AgentContext,
  options: BackupOptions = {},
): Promise<Manifest> {
  const { settings, signal } = context;
  const { database } = settings.postgres;
  const started = performance.now();
  parseExtraOptions(settings.postgres.dumpOptions);
  const results = new DestinationResults(context);
  const client = await connect(settings.postgres);
  // Its end also releases the snapshot and the lock.
  const { remedy } = await endingOnAbort(client, signal, async () => {
    const server = await readServer(client);
    const pgDump = await readClientVersion("pg_dump");
    checkClientVersion(pgDump, server);
    await takeBackupLock(client, database);
    const chosen = await untilStopped(signal, chooseDestinations(context, options, results));
    const facts = { server, pgDump, started };
    const { plan, begun } = await dumpSnapshot(context, client, { facts, chosen, results });
    await sleep(Math.max(0, SHORTEST_DUMP_MS - (performance.now() - begun)));
    return plan;
  });
  const suspect = results.anyManifest?.suspect ?? null;
  if (suspect === null && settings.verify) await verifyStored(context, results);
  if (suspect === null && settings.keep !== undefined) {
    await deleteExpired(context, settings.keep, results);
  }
  if (results.hasFailed) throw results.failure();
  if (suspect !== null) {
    throw new Problem(
      `the backup of "${database}" was stored as suspect and does not count: ${suspect}. ${remedy}`,
    );
  }
  return results.anyManifest as Manifest;
}

async function verifyStored(context: AgentContext, results: DestinationResults): Promise<void> {
  const stores = { first: context.store, copy: context.copy?.store };
  for (const name of ["first", "copy"] as const) {
    const manifest = results.goodManifest(name);
    const store = stores[name];
    if (manifest === undefined || store === undefined) continue;
    await results.attempt(name, () => verifyNew({ ...context, store }, manifest));
  }
}

/**
 * From the snapshot to the manifests.
 * @returns `begun`: when pg_dump was at work, by `performance.now()`
 */
async function dumpSnapshot(
  context: AgentContext,
  client: pg.Client,
  { facts, chosen, results }: Run,
): Promise<{ readonly plan: DumpPlan; readonly begun: number }> {
  const dump = await startUndisturbed(context, client, () =>
    planDump(context, { client, pgDumpMajor: facts.pgDump.major, chosen }),
  );
  const { plan } = dump;
  const begun = performance.now();
  announceDump(context.report, context.settings.postgres.database, plan);
  const uploaded = await uploadDump(context, client, dump);
  await commitUploads(context, { plan, uploaded, facts, reference: chosen.reference }, results);
  return { plan, begun };
}

interface Run {
  readonly facts: RunFacts;
  readonly chosen: ChosenDestinations;
  readonly results: DestinationResults;
}
