import { type Manifest, totalRows } from "../storage/manifest.ts";
import { databaseArguments } from "./databases.ts";
import { formatBytes, formatDuration, formatRate, formatStamp, plural } from "./format.ts";
import { runAgent } from "./remote.ts";
import { paint } from "./render.ts";
import type { Session } from "./session.ts";

export interface BackupOptions {
  /** Counts it as good although it differs from the one before. @default false */
  readonly accept?: boolean;
}

/** Takes a backup of each database now and says what it holds. */
export async function backup(session: Session, options: BackupOptions): Promise<void> {
  const { backup, databases, container, screen } = session;
  const one = databases !== null && databases.length === 1;
  const args = [
    "backup",
    ...(one ? databaseArguments(backup) : []),
    ...(options.accept ? ["--accept"] : []),
  ];
  const manifests: Manifest[] = [];
  const show = () => {
    for (const line of manifests.flatMap((one) => describe(one, backup.location.bucket))) {
      screen.line(line);
    }
  };
  const running = runAgent(container, args, "backup", {
    onNotice: (line) => screen.notice(line),
    onProgress: (event) => {
      const bytes = event.bytes ?? 0;
      const parts = [
        formatBytes(bytes),
        formatRate(bytes, event.elapsedMs),
        formatDuration(event.elapsedMs),
      ];
      screen.progress(`  ${event.step}   ${parts.filter(Boolean).join("   ")}`);
    },
    onResult: (event) => {
      // A suspect one fails the run; its reason comes with the error.
      if (event.event === "backup" && event.manifest.suspect === null) {
        manifests.push(event.manifest);
      }
    },
  });
  await running.catch((error: unknown) => {
    // Of several databases some may have failed; what is complete is complete.
    if (!one) show();
    throw error;
  });
  show();
  const [first] = manifests;
  screen.document({
    database: first?.database ?? backup.database,
    host: container.host,
    container: container.name,
    manifest: first,
    ...(manifests.length > 1 && { manifests }),
  });
}

function describe(manifest: Manifest, bucket: string): string[] {
  const { database, takenAt, object, tables, durationMs } = manifest;
  const stamp = formatStamp(takenAt.replace(/Z$/, ""));
  return [
    `${paint.good("Backed up")} ${database} of ${stamp} UTC: ${plural(tables.length, "table")}, ${plural(totalRows(manifest), "row")}`,
    `  ${formatBytes(object.bytes)}   ${formatRate(object.bytes, durationMs)}   ${formatDuration(durationMs)}   s3://${bucket}/${object.key}`,
  ];
}
