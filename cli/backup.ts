import { totalRows } from "../storage/manifest.ts";
import { formatBytes, formatDuration, formatRate, formatStamp, plural } from "./format.ts";
import { runAgent } from "./remote.ts";
import { paint } from "./render.ts";
import type { Session } from "./session.ts";

/** Takes a backup now and says what it holds. */
export async function backup({ backup, container, screen }: Session): Promise<void> {
  const { manifest } = await runAgent(container, ["backup"], "backup", {
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
  });
  const { object, tables, durationMs } = manifest;
  const stamp = manifest.takenAt.replace(/Z$/, "");
  screen.line(
    `${paint.good("Backed up")} ${backup.database} of ${formatStamp(stamp)} UTC: ${plural(tables.length, "table")}, ${plural(totalRows(manifest), "row")}`,
  );
  screen.line(
    `  ${formatBytes(object.bytes)}   ${formatRate(object.bytes, durationMs)}   ${formatDuration(durationMs)}   s3://${backup.location.bucket}/${object.key}`,
  );
  screen.document({
    database: backup.database,
    host: container.host,
    container: container.name,
    manifest,
  });
}
