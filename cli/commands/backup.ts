import { partialText } from "../../common/contracts/leftOut.ts";
import { type Manifest, totalRows } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { runAgent } from "../session/agentCall.ts";
import { databaseArguments } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import { formatDuration, formatRate, formatStamp, plural } from "../terminal/format.ts";
import { describeProgress } from "../terminal/progress.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

export interface BackupOptions {
  /** Counts it as good although it differs from the one before. @default false */
  readonly accept?: boolean;
}

/** Takes a backup of each database now and prints what it holds. */
export async function backup(session: Session, options: BackupOptions): Promise<void> {
  const { backup, databases, container, screen } = session;
  const one = databases !== null && databases.length === 1;
  const args = [
    "backup",
    ...(one ? databaseArguments(backup) : []),
    ...(options.accept ? ["--accept"] : []),
  ];
  const manifests: Manifest[] = [];
  const copies: Manifest[] = [];
  const show = () => {
    for (const one of manifests) printStored(screen, "Backed up", one, backup.location.bucket);
    const bucket = backup.copy?.location.bucket ?? "";
    for (const one of copies) printStored(screen, "Copied", one, bucket);
  };
  let expected: number | undefined;
  const asked = one && !screen.json ? lastSize(session) : Promise.resolve(undefined);
  asked.then((bytes) => {
    expected = bytes;
  });
  const running = runAgent(container, args, "backup", {
    onStderrLine: (line) => screen.warn(line),
    onProgress: (event) => screen.progress(describeProgress(event, expected)),
    onCopied: ({ manifest }) => {
      if (manifest.suspect === null) copies.push(manifest);
    },
    onResult: (event) => {
      // A suspect one fails the run; its reason comes with the error.
      if (event.event === "backup" && event.manifest.suspect === null) {
        manifests.push(event.manifest);
      }
    },
  });
  try {
    await running;
  } catch (error) {
    // Of several databases or places some may have failed; what is complete is complete.
    if (!one || backup.copy !== undefined) show();
    throw error;
  } finally {
    // Nothing of it outlives the command.
    await asked;
  }
  show();
  const [first] = manifests;
  screen.document({
    database: first?.database ?? backup.database,
    host: container.host,
    container: container.name,
    manifest: first,
    ...(manifests.length > 1 && { manifests }),
    ...(backup.copy !== undefined && { copies }),
  });
}

/** Of the newest whole backup, as an estimate of how large the next one gets; undefined where nobody says it. */
async function lastSize({ backup, container }: Session): Promise<number | undefined> {
  try {
    const args = ["list", ...databaseArguments(backup)];
    const { backups } = await runAgent(container, args, "list");
    const ours = backups.filter(({ database }) => database === backup.database);
    return countingBackups(ours).find(({ kind }) => kind === "ours")?.bytes;
  } catch {
    // The backup itself says what is wrong.
    return undefined;
  }
}

function printStored(screen: Screen, what: string, manifest: Manifest, bucket: string): void {
  const { database, takenAt, object, tables, durationMs } = manifest;
  const stamp = formatStamp(takenAt.replace(/Z$/, ""));
  screen.line(
    `${paint.good(what)} ${database} of ${stamp} UTC: ${plural(tables.length, "table")}, ${plural(totalRows(manifest), "row")}`,
  );
  screen.line(
    `  ${formatBytes(object.bytes)}   ${formatRate(object.bytes, durationMs)}   ${formatDuration(durationMs)}   s3://${bucket}/${object.key}`,
  );
  const partial = partialText(manifest);
  if (partial !== null) screen.line(`  ${paint.uncertain(partial)}`);
}
