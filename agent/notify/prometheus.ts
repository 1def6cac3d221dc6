import { readFile, rename, writeFile } from "node:fs/promises";
import { totalRows } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { Figures } from "./figures.ts";
import type { DatabaseResult } from "./runSummary.ts";

const PREFIX = "postgres_backup_";

/** Name and meaning. Those of the last success outlive a failed run, so that an alarm on its age works. */
const METRICS = {
  last_success_timestamp_seconds: "Snapshot time of the newest good backup.",
  last_run_timestamp_seconds: "End of the last run.",
  last_copy_timestamp_seconds: "Snapshot time of the newest good copy in the second bucket.",
  last_run_success: "1 when the last run made all that was due, and all of it is good, else 0.",
  last_run_duration_seconds: "Duration of the last run.",
  size_bytes: "Size of the newest good backup as stored.",
  rows: "Rows in the newest good backup.",
  next_due_timestamp_seconds: "When the next scheduled backup is due.",
  stored_backups: "Good backups in the bucket.",
  stored_bytes: "Size of all good backups in the bucket.",
  last_drill_timestamp_seconds: "Start of the newest drill that found something out.",
  last_drill_success: "1 when that drill passed, 0 when it failed.",
  last_drill_duration_seconds: "Duration of the restore in that drill.",
} as const;

/** As they stand in the file. */
export const METRIC_NAMES: readonly string[] = Object.keys(METRICS).map((name) => PREFIX + name);

type Name = keyof typeof METRICS;
type Values = Partial<Record<Name, number>>;

/**
 * Brings the file up to date with a run. A node exporter may read at any moment: it sees the old file or the new one.
 * @param path in a folder that is mounted and that the container's user may write to
 * @param figures of the databases of the run
 * @throws Problem when the file cannot be written
 */
export async function writeMetrics(
  path: string,
  results: readonly DatabaseResult[],
  now: Date,
  figures: ReadonlyMap<string, Figures>,
): Promise<void> {
  // The textfile collector of the node exporter reads *.prom only: the unfinished file is invisible to it.
  const partial = `${path}.new`;
  try {
    const before = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    await writeFile(partial, renderMetrics(before, results, now, figures), { mode: 0o644 });
    await rename(partial, path);
  } catch (error) {
    const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
    if (code === undefined) throw error;
    throw new Problem(
      `${path} could not be written (${code}). Mount its folder into the container, writable for user id ${process.getuid?.()}.`,
      { cause: error },
    );
  }
}

/**
 * The file after a run.
 * @param before what it held; databases that are not in this run stay
 */
export function renderMetrics(
  before: string,
  results: readonly DatabaseResult[],
  now: Date,
  figures: ReadonlyMap<string, Figures> = new Map(),
): string {
  const byLabel = parse(before);
  for (const result of results) {
    const { database, manifest, copy, error, durationMs } = result;
    // A backup whose copy failed is good, and so is a copy whose backup failed: each has a time of its own.
    const good = error === undefined || result.copyFailed ? manifest : undefined;
    const copied = result.copyFailed || copy?.suspect !== null ? undefined : copy;
    // A run that ended before it was known which databases there are has failed for those in the file.
    for (const label of database === null ? [...byLabel.keys()] : [escaped(database)]) {
      byLabel.set(label, {
        ...byLabel.get(label),
        ...(database !== null && figures.get(database)),
        last_run_timestamp_seconds: Math.floor(now.getTime() / 1000),
        last_run_success: good === undefined || error !== undefined ? 0 : 1,
        last_run_duration_seconds: durationMs / 1000,
        ...(good && {
          last_success_timestamp_seconds: Date.parse(good.takenAt) / 1000,
          size_bytes: good.object.bytes,
          rows: totalRows(good),
        }),
        ...(copied && { last_copy_timestamp_seconds: Date.parse(copied.takenAt) / 1000 }),
      });
    }
  }
  const lines: string[] = [];
  for (const [name, help] of Object.entries(METRICS) as [Name, string][]) {
    if (![...byLabel.values()].some((values) => values[name] !== undefined)) continue;
    lines.push(`# HELP ${PREFIX}${name} ${help}`, `# TYPE ${PREFIX}${name} gauge`);
    for (const [label, values] of [...byLabel].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const value = values[name];
      if (value !== undefined) lines.push(`${PREFIX}${name}{database="${label}"} ${value}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Lines of another form, e.g. by another program, are dropped: the file is the agent's alone. */
function parse(text: string): Map<string, Values> {
  const byLabel = new Map<string, Values>();
  for (const line of text.split("\n")) {
    const [, name, label, value] =
      /^postgres_backup_([a-z_]+)\{database="((?:[^"\\]|\\.)*)"\} (\S+)$/.exec(line) ?? [];
    if (name === undefined || label === undefined || !(name in METRICS)) continue;
    byLabel.set(label, { ...byLabel.get(label), [name]: Number(value) });
  }
  return byLabel;
}

function escaped(label: string): string {
  return label.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
