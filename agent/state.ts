import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Leaves the result of a backup where the health check looks: one line, `ok EPOCH` or `failed EPOCH sentence`. The
 * container's root is read-only, so this lies in memory; the wrapper names the folder, elsewhere nothing is written.
 * @param failure the error's sentence, free of secrets; absent: the backup is complete
 */
export function recordResult(folder: string | undefined, failure?: string): void {
  if (folder === undefined || folder === "") return;
  const now = Math.floor(Date.now() / 1000);
  const text = failure === undefined ? `ok ${now}` : `failed ${now} ${failure.split("\n")[0]}`;
  const path = join(folder, "agent.result");
  writeFileSync(`${path}.new`, `${text}\n`);
  // The health check may read at any moment: it sees the old line or the new one.
  renameSync(`${path}.new`, path);
}
