import { formatBytes } from "../../common/format.ts";
import { selectBackup } from "../backups/selectBackup.ts";
import { listByAgent } from "../backups/source.ts";
import { runAgent } from "../session/agentCall.ts";
import { type CopyOption, chooseBucket, copyArguments } from "../session/copy.ts";
import { databaseArguments, forOneDatabase } from "../session/databases.ts";
import { readIdentity } from "../session/identity.ts";
import type { Session } from "../session/session.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { formatDuration, formatStamp, plural } from "../terminal/format.ts";
import { describeProgress } from "../terminal/progress.ts";
import { paint } from "../terminal/render.ts";

export interface VerifyOptions extends CopyOption {
  /** File with the private key, as `age-keygen` writes it. */
  readonly identity?: string;
}

/**
 * Lets the agent read one backup to its end.
 * @param wanted `latest` or the time of a backup
 * @returns the exit code: 0 for a whole backup, 2 where only the stored bytes could be checked
 * @throws Problem when it is damaged
 */
export async function verify(
  opened: Session,
  wanted: string,
  options: VerifyOptions,
): Promise<number> {
  const session = chooseBucket(await forOneDatabase(opened), options);
  const { backup, container, screen } = session;
  const identity = await readIdentity(options.identity);
  const { stamp } = selectBackup(session, await listByAgent(session), { wanted });
  const args = [
    "verify",
    stamp,
    ...databaseArguments(backup),
    ...copyArguments(session),
    ...identity.args,
  ];
  const { event: _, ...verified } = await runAgent(container, args, "verified", {
    ...identity.call,
    codes: [0, EXIT.lessThanWhole],
    onProgress: (event) => screen.progress(describeProgress(event)),
    // What was not checked is printed below; the agent prints it for those who read only its text.
    onStderrLine: (line) => {
      if (!line.startsWith("not checked:")) screen.warn(line);
    },
  });
  const { depth, bytes, tables, unchecked, signature, elapsedMs } = verified;
  const what = `${backup.database} of ${formatStamp(stamp)} UTC, ${formatBytes(bytes)}`;
  screen.line(
    depth === "full"
      ? `${paint.good("Verified")} ${what}: read to the end, ${plural(tables ?? 0, "table")}, in ${formatDuration(elapsedMs)}.`
      : `${paint.uncertain("Stored whole, not decrypted")}: ${what}. To have it read to the end give its key: --identity FILE.`,
  );
  if (depth === "full") {
    screen.line(
      "  Nothing was restored: only a restore shows that it can be, for instance restore --into NAME.",
    );
  }
  if (signature === "signed") screen.line("  Its manifest is signed with a key of this stack.");
  if (unchecked !== null) screen.line(`  not checked: ${unchecked}`);
  screen.document({ ...verified, host: container.host });
  return depth === "full" ? 0 : EXIT.lessThanWhole;
}
