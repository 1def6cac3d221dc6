import type { DrilledEvent, Entry } from "../../common/contracts/agentEvents.ts";
import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import { Problem } from "../../common/problem.ts";
import { storeDrillRecord } from "../../storage/catalogue/drillRecords.ts";
import { databasesInBucket, listInBucket, withWriter } from "../backups/bucketSource.ts";
import { runAgent } from "../session/agentCall.ts";
import { type CopyOption, chooseBucket } from "../session/copy.ts";
import { forDatabase, forOneDatabase } from "../session/databases.ts";
import { identityLines } from "../session/identity.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { signingKeys } from "../stack/stateSecrets.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { restoreLine } from "../terminal/progress.ts";
import { chooseDrills, type DrillChoice } from "./chooseDrills.ts";
import { type DrillResult, drillTitle, keptCommands, printDrill } from "./drillReport.ts";
import { couldNotRun, type PlannedDrill, recordOf, requireLater } from "./judgeDrill.ts";
import { type BackupKeys, imageOf, type OpenedBackup, openBackup } from "./openBackup.ts";
import { readSqlFile, type SqlFile } from "./sqlFile.ts";
import { withThrowAway } from "./throwAway.ts";

export interface DrillOptions extends Omit<DrillChoice, "time">, CopyOption {
  /** File with the private key. @default the variable AGE_IDENTITY */
  readonly identity?: string;
  /** File with SQL checks. @default the declared one */
  readonly checks?: string;
  /** Image of the throw-away server. @default postgres:MAJOR of the backup */
  readonly image?: string;
  /** Major version to rehearse an upgrade to, as it was typed. @default the backup's own */
  readonly upgradeTo?: string;
  /** Takes the server's own encoding and locale instead of the backup's. @default false */
  readonly serverLocale?: boolean;
  /** Docker network by which the bucket is reached. @default Docker's own */
  readonly network?: string;
  /** Leaves the throw-away server. @default false */
  readonly keep?: boolean;
}

/** What all drills of one command have in common. */
interface Site extends BackupKeys {
  readonly options: DrillOptions;
  readonly checks: SqlFile | undefined;
  readonly upgradeTo: number | undefined;
}

/**
 * Restores backups into a throw-away PostgreSQL on this machine, and says what that has shown.
 * @returns the exit code: 0 where each has passed, 1 where one has failed, 3 where one could not run
 * @throws Problem when none could be begun
 */
export async function drill(
  opened: Session,
  stack: StackChoice,
  time: string,
  options: DrillOptions,
): Promise<number> {
  const { screen } = opened;
  const sessions = await sessionsOf(opened, stack, time, options);
  const { backup } = opened;
  const upgradeTo = options.upgradeTo === undefined ? undefined : majorOf(options.upgradeTo);
  const identities = (await identityLines(options.identity)) ?? [];
  const checks = await readSqlFile(CHECKS, options.checks, backup.drill?.checks, stack.cwd);
  screen.waiting("reading the backups in the bucket");
  const signing = await signingKeys(stack, backup.name, backup.container);
  const planned: [Site, Entry][] = [];
  for (const session of sessions) {
    const { database } = session.backup;
    const listed = await listInBucket(session, stack, [database], 0);
    const entries = listed.get(database)?.entries ?? [];
    const site = { session, stack, options, identities, checks, upgradeTo, signing };
    for (const entry of chooseDrills(session, entries, { ...options, time })) {
      planned.push([site, entry]);
    }
  }
  const results: DrillResult[] = [];
  for (const [site, entry] of planned) {
    const result = await drillOne(site, entry);
    printDrill(screen, result);
    results.push(result);
  }
  const verdicts = results.map(({ record }) => record.verdict);
  screen.document({
    verdict: worst(verdicts),
    drills: results.map(({ record, notRestored, recorded, kept }) => ({
      ...record,
      notRestored,
      recorded: recorded !== null && "key" in recorded ? recorded.key : null,
      ...(recorded !== null && "failure" in recorded && { recordError: recorded.failure }),
      ...(kept && { kept: { ...kept, ...keptCommands(kept, record.database) } }),
    })),
  });
  return EXIT_OF[worst(verdicts)];
}

/** One for each database: each of them, unless a time is given, which only the backups of one have. */
async function sessionsOf(
  opened: Session,
  stack: StackChoice,
  time: string,
  options: CopyOption,
): Promise<Session[]> {
  const session = chooseBucket(opened, options);
  const stored = () => databasesInBucket(session, stack);
  if (time !== "" && time !== "latest") return [await forOneDatabase(session, stored)];
  const names = session.databases ?? (await stored());
  if (names.length === 0) {
    throw new Problem("the bucket has no backup of any database, so there is nothing to drill.");
  }
  return names.map((name) => forDatabase(session, name));
}

const CHECKS = { option: "--checks", declared: "the declared checks" };

const EXIT_OF = { passed: EXIT.well, failed: EXIT.failed, couldNotRun: EXIT.couldNotRun } as const;

function worst(verdicts: readonly DrillRecord["verdict"][]): DrillRecord["verdict"] {
  const order = ["failed", "couldNotRun", "passed"] as const;
  return order.find((verdict) => verdicts.includes(verdict)) ?? "couldNotRun";
}

async function drillOne(site: Site, entry: Entry): Promise<DrillResult> {
  const { session, options, checks, upgradeTo } = site;
  const { backup } = session;
  const began: PlannedDrill = {
    entry,
    startedAt: new Date(),
    rtoMs: backup.drill?.rtoMs,
    upgradeTo,
    backupMajor: undefined,
    openedWith: null,
  };
  const failed = (error: unknown) => {
    if (!(error instanceof Problem)) throw error;
    return { record: couldNotRun(began, error.message), notRestored: [], kept: null };
  };
  const shown = { bytes: entry.bytes, checksFile: checks?.name };
  let ready: { readonly opened: OpenedBackup; readonly serverImage: string };
  try {
    const opened = await openBackup(site, entry);
    const major = opened.manifest?.server.major;
    requireLater(upgradeTo, major);
    ready = { opened, serverImage: options.image ?? imageOf(upgradeTo ?? major, entry) };
  } catch (error) {
    // A slip of whoever has typed it, such as a missing key, is no drill.
    return { ...failed(error), ...shown, recorded: null };
  }
  const ended = await runDrill(site, began, ready).catch(failed);
  return { ...ended, ...shown, recorded: await store(site, ended.record) };
}

async function runDrill(
  site: Site,
  began: PlannedDrill,
  {
    opened: { manifest, env, openedWith },
    serverImage,
  }: { readonly opened: OpenedBackup; readonly serverImage: string },
): Promise<Pick<DrillResult, "record" | "notRestored" | "kept">> {
  const { session, options, upgradeTo } = site;
  const { screen, backup } = session;
  const { database, stamp } = began.entry;
  const backupMajor = manifest?.server.major;
  const server = describeServer(upgradeTo ?? backupMajor, options.image);
  screen.line(drillTitle(database, stamp, server));
  const { result, kept } = await withThrowAway(
    screen,
    {
      ...{ serverImage, agentImage: backup.image, env, network: options.network },
      superuser: manifest?.server.bootstrapRole ?? "postgres",
      ...{ data: { kind: "container" }, keep: options.keep === true },
    },
    ({ agent }) => callAgent(site, agent, stamp),
  );
  const record = recordOf({ ...began, backupMajor, openedWith }, result);
  return { record, notRestored: result.notRestored, kept };
}

function callAgent(
  { session: { screen }, identities, checks, options }: Site,
  agent: Parameters<typeof runAgent>[0],
  stamp: string,
): Promise<DrilledEvent> {
  const request = {
    ...(identities.length > 0 && { identities: identities.join("\n") }),
    ...(checks && { checks: checks.text }),
  };
  const line = restoreLine();
  const args = ["drill", stamp, ...(options.serverLocale ? ["--server-locale"] : [])];
  return runAgent(agent, args, "drilled", {
    input: `${JSON.stringify(request)}\n`,
    codes: [EXIT.well, EXIT.failed, EXIT.couldNotRun],
    onProgress: (event) => screen.progress(line(event)),
    onStderrLine: (text) => {
      // The result has all of them.
      if (!/^(?:Not restored: |made the roles )/.test(text)) screen.warn(text);
    },
  });
}

function describeServer(major: number | undefined, image: string | undefined): string {
  if (image !== undefined) return `server of ${image}`;
  return `PostgreSQL ${major}`;
}

async function store(
  { session, stack, signing }: Site,
  record: DrillRecord,
): Promise<NonNullable<DrillResult["recorded"]>> {
  try {
    const key = await withWriter(session, stack, (bucket) =>
      storeDrillRecord(bucket, record, signing?.keys ?? []),
    );
    return { key };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { failure: error.message };
  }
}

/** @throws Problem when it is no major version */
function majorOf(text: string): number {
  if (/^[1-9]\d$/.test(text)) return Number(text);
  throw new Problem(`--upgrade-to ${text} must be a major version of PostgreSQL, such as 18.`);
}
