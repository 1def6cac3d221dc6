import * as pulumi from "@pulumi/pulumi";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import type { FirstBackupOutcome } from "../internal/accessoryState.ts";
import { applyReportingProblems } from "../pulumi/resourceMessages.ts";

/** What is said with it. */
export interface FirstBackupReport {
  readonly names: { readonly container: string };
  /** Name of the bucket. */
  readonly bucket: pulumi.Input<string>;
  /** When this run began: what came before it is no news. */
  readonly began: number;
}

/** Says in one line what a first backup came to, and fails the run where it failed. */
export function reportFirstBackup(
  resource: pulumi.Resource,
  outcome: pulumi.Output<FirstBackupOutcome | undefined>,
  { bucket, ...report }: FirstBackupReport,
): pulumi.Output<void> {
  return applyReportingProblems(resource, pulumi.all([outcome, bucket]), ([found, name]) => {
    const line = firstBackupLine(found, { ...report, bucket: name });
    if (line !== undefined) void pulumi.log.info(line, resource);
  });
}

/**
 * `First backup: shop_production, 412 MB, 31 tables, 18,204,117 rows, in 24 s: s3://shop-backups/shop/...`
 * @returns undefined where there was none in this run
 * @throws Problem where it failed
 */
export function firstBackupLine(
  outcome: FirstBackupOutcome | undefined,
  { names, bucket, began }: FirstBackupReport & { readonly bucket: string },
): string | undefined {
  if (outcome === undefined || Date.parse(outcome.at) < began) return undefined;
  const { stored, seconds, failure } = outcome;
  if (failure !== undefined) {
    throw new Problem(
      `${names.container} runs, but its first backup failed: ${failure.replace(/\.$/, "")}. The next pulumi up tries again.`,
    );
  }
  const sum = (of: "bytes" | "tables" | "rows") =>
    stored.reduce((total, backup) => total + backup[of], 0);
  const databases = stored.map(({ database }) => database).join(", ");
  const [{ key } = { key: "" }] = stored;
  const place = stored.length === 1 ? key : key.replace(/[^/]*$/, "");
  return `First backup: ${databases}, ${formatBytes(sum("bytes"))}, ${sum("tables")} tables, ${sum("rows").toLocaleString("en-US")} rows, in ${seconds} s: s3://${bucket}/${place}`;
}
