import { Problem } from "../../common/problem.ts";
import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { confirm, requireTerminal } from "../terminal/confirm.ts";
import { formatDuration } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";

/**
 * Swaps the database that a restore has replaced back into its place.
 * @param kept the name that it has now
 * @throws Problem when it is no such name, or sessions could not be ended; then nothing has changed
 */
export async function undo(
  { container, screen }: Session,
  kept: string,
  options: { readonly yes?: boolean },
): Promise<void> {
  const database = kept.replace(/_before_\d{8}T\d{6}$/, "");
  if (database === kept) {
    throw new Problem(
      `"${kept}" is not the name of a database that a restore has replaced. Give the one in the last line of its output, <database>_before_<time>.`,
    );
  }
  if (!options.yes) requireTerminal(screen, "undo asks before it swaps two databases");
  const plan = [
    `Swap ${kept} back on ${container.host}`,
    `The current database is kept as ${database}_undone_<time>.`,
  ];
  if (options.yes) for (const line of plan) screen.line(line);
  else await confirm(screen, plan, database);
  const { event: _, ...undone } = await runAgent(
    container,
    ["undo", "--yes", "--", kept],
    "undone",
    {
      onStderrLine: (line) => screen.warn(line),
    },
  );
  const { previous, elapsedMs } = undone;
  screen.line(
    `${paint.good("Swapped back")}: ${undone.from} is ${undone.database} again, in ${formatDuration(elapsedMs)}.`,
  );
  if (previous !== null) screen.line(`  the previous database is kept as ${previous}`);
  screen.document({ ...undone, host: container.host });
}
