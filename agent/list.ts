import { isComplete, listBackups } from "../storage/catalogue.ts";
import type { Store } from "../storage/client.ts";
import { type Report, readableBytes } from "./report.ts";

/** Lists the backups of one database, newest first. Those without a manifest are shown as what they are. */
export async function list(store: Store, database: string, report: Report): Promise<void> {
  const backups = await listBackups(store, database);
  report.event({ event: "list", backups });
  const { bucket, prefix } = store.address;
  if (backups.length === 0) {
    report.line(`No backup of ${database} in s3://${bucket}/${prefix}.`);
    return;
  }
  report.line(`Backups of ${database} in s3://${bucket}/${prefix}, newest first:`);
  for (const entry of backups) {
    const remark = !isComplete(entry)
      ? "  incomplete: no manifest"
      : entry.kind === "legacy"
        ? "  by the old image: no manifest"
        : "";
    report.line(`  ${entry.stamp}  ${readableBytes(entry.bytes).padStart(8)}${remark}`);
  }
}
